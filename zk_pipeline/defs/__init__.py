"""Dagster definitions: thin assets that read, call the domain and write."""

import gc

import dagster  # noqa: F401 - loaded first, so that it is frozen.

# Dagster's modules stay loaded: freezing them spares the garbage collector from scanning them while ours are loaded,
# which took a quarter of that time, and in the runs forked from this process.
gc.freeze()
