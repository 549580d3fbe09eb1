"""Measurements against the limits of docs/performance.md; `python -m benchmarks` runs them."""
