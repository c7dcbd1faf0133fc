"""Why a file has no picture to offer, in words that are the same wherever it is read."""

import stat
from pathlib import Path

# Bytes of the largest file that is read: a photo of 100 million pixels at 16 bits takes less in any
# format that packs.
LARGEST_FILE = 256 * 2**20

IRREGULAR = "not a regular file"
LINK = "a link"
MISSING = "missing"
TOO_LARGE = f"larger than {LARGEST_FILE >> 20} MiB"
UNREADABLE = "unreadable: "
# Why a picture is left out in which all that is to be seen has the colour of the background, which
# follows.
BLANK = "blank on image.background "


class Undecodable(Exception):
    """The file has no picture to learn from, or to answer for; the text is the reason."""


def read_whole(place: Path) -> bytes:
    """The bytes of a file, which may be anything.

    Raises:
        Undecodable: it is missing, no file, too large, or cannot be read.
    """
    try:
        status = place.stat()
        if problem := problem_of_kind(status.st_mode):
            raise Undecodable(problem)
        if status.st_size > LARGEST_FILE:
            raise Undecodable(TOO_LARGE)
        return place.read_bytes()
    except FileNotFoundError:
        raise Undecodable(MISSING) from None
    except (OSError, ValueError) as error:  # the latter for a name with a zero byte in it
        raise Undecodable(unreadable(error)) from None


def problem_of_kind(mode: int) -> str:
    """Why this is no file to read, by the mode that `stat` or an archive gives it; else empty."""
    if stat.S_ISLNK(mode):
        return LINK
    # Archives that were made on other systems leave the kind empty.
    return "" if stat.S_ISREG(mode) or not stat.S_IFMT(mode) else IRREGULAR


def unreadable(error: Exception) -> str:
    """The reason for a file whose reading raised `error`, on one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    # Some errors quote what they choke on, whatever its length.
    return UNREADABLE + " ".join(text[:200].split())
