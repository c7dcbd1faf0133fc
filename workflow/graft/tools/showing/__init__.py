"""Pages that tools write."""
