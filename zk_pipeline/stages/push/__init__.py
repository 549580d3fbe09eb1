"""The push: carries out the plan exactly once, and undoes it."""
