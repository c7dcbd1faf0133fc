"""graft: a new head on a pretrained network, with every intermediate file reproducible."""
