"""Monitoring: vital signs, alerts, measurements, and `zk doctor`."""
