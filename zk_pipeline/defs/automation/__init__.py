"""What starts runs: jobs."""
