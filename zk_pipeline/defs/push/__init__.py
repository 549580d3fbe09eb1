"""The push as assets and jobs: writing what is planned, taking a run back, tagging a month."""
