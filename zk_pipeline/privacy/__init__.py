"""Privacy: what is stored about a person, its export and erasure, and how long rows are kept."""
