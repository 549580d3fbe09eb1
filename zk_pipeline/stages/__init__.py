"""What the chain does, stage by stage, without Dagster around it: read, normalize, reconcile, push, build the marts."""
