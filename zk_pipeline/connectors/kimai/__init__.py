"""The Kimai connector."""
