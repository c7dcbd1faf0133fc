"""From raw files to checked pixels; stages manifest and tensors."""
