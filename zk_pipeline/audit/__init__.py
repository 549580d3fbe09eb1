"""Reading the audit trail, its anchors outside the database, and the history of a booking."""
