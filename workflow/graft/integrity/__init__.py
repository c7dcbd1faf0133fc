"""What holds a result to what it was made from: its ground, checks within DVC, repair."""
