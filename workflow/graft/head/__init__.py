"""Heads over features, and the choice of depth; stages depth and head."""
