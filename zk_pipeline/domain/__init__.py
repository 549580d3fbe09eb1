"""Pure rules of the product: no Dagster, no HTTP, no database."""
