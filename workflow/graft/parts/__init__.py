"""The images of each part, as rows, and which of them belong together."""
