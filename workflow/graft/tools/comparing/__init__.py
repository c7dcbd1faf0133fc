"""What two settings have in common, and what chance alone does to their results."""
