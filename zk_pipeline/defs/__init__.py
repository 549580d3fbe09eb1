"""Dagster definitions: thin assets that read, call the domain and write."""
