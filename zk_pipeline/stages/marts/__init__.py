"""dbt as a process: what is to be built, and what came of it."""
