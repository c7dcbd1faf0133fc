"""The network run once over every image; stage features."""
