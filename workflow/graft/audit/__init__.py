"""What should be known before a model is trained or trusted: depth, label errors, warnings."""
