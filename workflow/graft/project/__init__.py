"""What no result depends on: parameters, pipeline, recipes, launcher and both engines."""
