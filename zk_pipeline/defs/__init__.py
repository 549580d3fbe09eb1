"""Dagster definitions: thin assets that read, call the domain and write."""

import gc

import dagster  # noqa: F401 - loaded first, so that it is frozen.

# Dagster stays for good: the collector need not look through it again and again while our modules are loaded, which
# took a quarter of their time, nor in the runs that are forked from this process.
gc.freeze()
