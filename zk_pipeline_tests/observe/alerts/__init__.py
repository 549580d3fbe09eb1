"""Telling people, over real HTTP and with a real database."""
