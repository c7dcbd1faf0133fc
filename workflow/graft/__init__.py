"""graft: a new head on a pretrained network, every file between reproducible."""
