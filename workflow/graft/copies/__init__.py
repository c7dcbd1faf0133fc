"""Near copies of pictures: found by their hashes and fields, or mirrored, turned and enlarged."""
