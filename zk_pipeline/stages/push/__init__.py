"""The push: the plan carried out, once and only once, and taken back."""
