"""The page, its pictures and its statistics; stage report."""
