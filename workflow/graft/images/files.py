"""One raw file of a data set: its bytes, or why it has none to offer."""

import hashlib
from pathlib import PurePosixPath
from typing import NamedTuple

from graft.decoder.beginnings import AVIF, HEIF, STARTS

# The values of `dataset.path`.
SOURCE = (
    "a folder of class folders, an archive of one (.zip, .tar, .tar.gz, .tar.xz), or a CSV with the"
    " columns path and label"
)
# Characters of the longest path, as Linux has it.
LONGEST_PATH = 4095
# Files for which a shard is made. With 160 pixels a side, its tensors are 400 MB.
SHARD_FILES = 5000
# How the names of images end. Only messages go by them: what is an image, its bytes say.
IMAGE_ENDS = (".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
IMAGE_ENDS += (".pbm", ".ppm", ".pgm", ".pfm", ".heic", ".heif", ".hif", ".avif")
# Such a file is meant as a picture too, though it cannot be read.
PICTURE_ENDS = (*IMAGE_ENDS, ".arw", ".cr2", ".dng", ".jp2", ".jxl", ".nef", ".psd", ".svg")
# How pictures begin whose beginning is short.
_SHORT_STARTS = (b"BM", *(b"P%d%c" % (kind, blank) for kind in range(1, 7) for blank in b" \n\r\t"))

# What systems and programs leave beside pictures, besides what begins with a dot; in small letters.
SYSTEMS = ("#recycle", "$recycle.bin", "@eadir", "@recently-snapshot", "@recycle", "__macosx")
SYSTEMS += ("desktop.ini", "ehthumbs.db", "icon\r", "lost+found", "picasa.ini", "recycler")
SYSTEMS += ("system volume information", "thumbs.db", "thumbs.db:encryptable")

# Why a file of a data set is quarantined before anything has been decoded; `decoder.reasons` has
# those of any file.
ABSOLUTE = "absolute path"
ENCRYPTED = "encrypted"
FOLDER = "a folder"
LEADS_OUT = "path leads out of the data set"
NAME_TWICE = "two files of this name"
NOT_UTF8 = "name is not UTF-8"
PACKED_ODDLY = "unsupported compression"
TOO_LONG = "name is too long"
# A path with one of these is in no folder of the data set, so in no class by its folders.
OUTSIDE = (ABSOLUTE, LEADS_OUT, TOO_LONG)


class File(NamedTuple):
    """One file.

    Attributes:
        path: its path within the data set, with `/` between the parts; printable as UTF-8.
        data: its bytes; None where they cannot be had.
        problem: why they cannot, one of the reasons above or `unreadable: …`; else empty.
    """

    path: str
    data: bytes | None
    problem: str = ""


def identity(data: bytes | memoryview, unread: bool = False) -> str:
    """The id of a file: 32 hexadecimal digits of BLAKE2b over its bytes.

    Args:
        data: the bytes; or what tells apart files whose bytes cannot be had.
        unread: whether it is the latter: no file that is read has such an id.
    """
    person = b"unread" if unread else b""
    return hashlib.blake2b(data, digest_size=16, person=person).hexdigest()


def is_hidden(path: str) -> bool:
    """Whether a file is one of a system's or program's own and no part of a data set."""
    parts = [part for part in PurePosixPath(path).parts if part not in (".", "..")]
    return any(part.startswith(".") or part.casefold() in SYSTEMS for part in parts)


def is_picture(file: File) -> bool:
    """Whether a file is meant as a picture, by the end of its name or by how it begins."""
    start = file.data[:12] if file.data else b""
    begins = start.startswith(STARTS + _SHORT_STARTS) or start[8:] == b"WEBP"
    boxes = start[4:8] == b"ftyp" and start[8:] in HEIF + AVIF
    return begins or boxes or PurePosixPath(file.path).suffix.lower() in PICTURE_ENDS


def problem_of_path(path: str) -> str:
    """Why a path of an archive or a CSV must not be followed; empty if it may be."""
    if len(path) > LONGEST_PATH:
        return TOO_LONG
    if path.startswith("/"):
        return ABSOLUTE
    if ".." in path.split("/"):
        return LEADS_OUT
    return "" if printable(path) == path else NOT_UTF8


def printable(path: str) -> str:
    r"""A path as UTF-8 can write it: bytes that are no UTF-8 become `\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
