"""Heads over features, the choice of depth, and label errors; stages depth to head."""
