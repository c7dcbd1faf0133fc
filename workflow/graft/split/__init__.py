"""Which images are copies, and which part each image belongs to; stages duplicates and split."""
