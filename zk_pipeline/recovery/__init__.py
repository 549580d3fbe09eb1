"""Recovery: encrypted backups of both databases, their restoration and its rehearsal."""
