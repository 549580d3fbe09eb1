"""What people decide: conflicts, approval of plans, mappings, undo."""
