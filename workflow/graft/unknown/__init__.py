"""Photos that are none of the classes: their distance to what a model has learned from."""
