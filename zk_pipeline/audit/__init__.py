"""The audit trail for people, its anchors outside of the database, and the story of a booking."""
