"""What two runs have in common, and whether they differ by more than chance."""
