"""How class names are written in pictures, in any script and of any length.

Names are short enough, on one line, and of letters that can be drawn: with DejaVu Sans, which comes
with matplotlib, and for letters that it lacks with what the machine has installed.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager, ft2font

from graft.report.wording import UNKNOWN, shorten

FONT = "DejaVu Sans"


def drawable_labels(names: Sequence[str], limit: int) -> list[str]:
    """The names as `font_families` can draw them, each at most about `limit` columns wide.

    A run of letters that no font has becomes one replacement character. Several names may
    then look alike, so such a name gets its number in front, counted from 1, as does an empty one.
    """
    short = [shorten(name, limit) for name in names]
    _, drawable = _chosen(frozenset("".join(short)))
    drawn = []
    for number, name in enumerate(short, start=1):
        known = "".join(letter if letter in drawable else UNKNOWN for letter in name)
        known = re.sub(f"{UNKNOWN}+", UNKNOWN, known)
        clear = known and UNKNOWN not in known
        drawn.append(known if clear else f"{number}: {known}".rstrip())
    return drawn


def font_families(texts: Iterable[str]) -> tuple[str, ...]:
    """The font families that draw `texts`, to be tried in this order."""
    return _chosen(frozenset("".join(texts)))[0]


@cache
def _chosen(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The font families for `letters`, most important first, and the letters that they can draw."""
    bundled = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    names, drawable = [FONT], letters & _letters(str(bundled), 0)
    while drawable != letters:
        missing = letters - drawable
        # The font with most of the missing letters next; of equals, the first.
        font = max(_installed(), key=lambda font: len(missing & _letters(font.fname, font.index)))
        found = missing & _letters(font.fname, font.index)
        if not found:
            break
        names.append(font.name)
        drawable |= found
    return tuple(names), drawable


@cache
def _installed() -> list[font_manager.FontEntry]:
    """The installed fonts, upright, plain and without serifs first, in an order of names."""
    manager = font_manager.fontManager
    # Matplotlib's own list is made once and misses what was installed since.
    known = {entry.fname for entry in manager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with suppress(OSError, RuntimeError, ValueError, NotImplementedError):
            manager.addfont(path)
    return sorted(
        # The "last resort" has a picture of its script for every letter, and draws none.
        (entry for entry in manager.ttflist if not entry.name.startswith("Last Resort")),
        key=lambda entry: (
            entry.style != "normal",
            entry.weight not in (400, "normal", "regular"),
            not re.search("sans|gothic|hei", entry.name, re.IGNORECASE),
            entry.name,
            entry.fname,
            entry.index,
        ),
    )


@cache
def _letters(path: str, index: int) -> frozenset[str]:
    """The letters that a font draws; none if it cannot be read or holds pictures of one size."""
    try:
        font = ft2font.FT2Font(path, face_index=index)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()
