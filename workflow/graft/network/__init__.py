"""The pretrained networks, their weights and scaling; stage backbone."""
