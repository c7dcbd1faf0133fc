"""From the bytes of an image file to upright RGB and a square, as graft sees pictures.

It stands alone: Python, NumPy and Pillow are all that it needs, and pillow-heif for HEIC alone. So
`graft export` puts these files, as they are, beside the program of an export.
"""
