"""Watching the installation: vital signs, alerts, measurements, and the doctor."""
