"""Operating the pipeline: syncs, runs, schedules, connectors, overview."""
