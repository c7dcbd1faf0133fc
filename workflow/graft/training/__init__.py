"""Rows of a part, augmentation, the training loop, measures; stage views."""
