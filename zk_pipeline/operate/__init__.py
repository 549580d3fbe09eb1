"""Operating the pipeline: syncs and their runs, schedules, connectors, the overview."""
