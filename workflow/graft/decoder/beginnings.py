"""The first bytes of pictures. Every start of graft reads this module: it imports nothing."""

# How pictures begin, whatever their name is, where the beginning is long enough to tell.
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
# The brand in the first box, `ftyp`, of HEIC or HEIF, and of AVIF.
HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
AVIF = (b"avif", b"avis")
