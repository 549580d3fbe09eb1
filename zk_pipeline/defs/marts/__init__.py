"""The marts: dbt models over what the chain stored, outside of its fast path."""
