"""Dagster's own web server behind our sign-in: who comes in, and what each role may do there."""
