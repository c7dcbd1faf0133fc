"""Whether a picture is another one mirrored, turned or enlarged, and how they lie on each other."""
