"""The stages of the chain, without Dagster: read, normalize, reconcile, push, build the marts."""
