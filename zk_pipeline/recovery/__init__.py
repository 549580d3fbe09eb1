"""Recovery: encrypted backups of both databases, restoring them, and verifying that they can be restored."""
