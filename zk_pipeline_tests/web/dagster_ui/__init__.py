"""Tests of Dagster's web server behind our sign-in."""
