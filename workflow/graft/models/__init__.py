"""Keras set up, models as files and graphs, stacks of layers, inference."""
