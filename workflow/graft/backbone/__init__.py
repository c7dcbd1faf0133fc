"""The pretrained network: its layers, weights and scaling, run once over every image."""
