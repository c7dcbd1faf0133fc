"""How class names are written in pictures, in any script and of any length.

Names are short enough, on one line, and of letters that can be drawn: with DejaVu Sans, which comes
with matplotlib, and for letters that it lacks with what the machine has installed.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager, ft2font

FONT = "DejaVu Sans"
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def drawable_labels(names: Sequence[str], limit: int) -> list[str]:
    """The names as `font_families` can draw them, each at most about `limit` columns wide.

    A run of letters that no font has becomes one replacement character. Several names may
    then look alike, so such a name gets its number in front, counted from 1, as does an empty one.
    """
    short = [shorten(name, limit) for name in names]
    _, drawable = _chosen(frozenset("".join(short)))
    drawn = []
    for number, name in enumerate(short, start=1):
        known = "".join(letter if letter in drawable else _UNKNOWN for letter in name)
        known = re.sub(f"{_UNKNOWN}+", _UNKNOWN, known)
        clear = known and _UNKNOWN not in known
        drawn.append(known if clear else f"{number}: {known}".rstrip())
    return drawn


def font_families(texts: Iterable[str]) -> tuple[str, ...]:
    """The font families that draw `texts`, to be tried in this order."""
    return _chosen(frozenset("".join(texts)))[0]


def shorten(name: str, limit: int) -> str:
    """A name on one line, with an ellipsis inside where it takes more than `limit` columns.

    Both ends stay, since names that share a long beginning differ at the end.
    """
    # NFC: a Mac writes 한 into file names as three letters that fonts do not put together.
    name = "".join(
        letter if letter.isprintable() else " " if letter.isspace() else _UNKNOWN
        for letter in unicodedata.normalize("NFC", name)
        if unicodedata.category(letter) != "Cf"
    )
    name = " ".join(name.split())
    if text_columns(name) <= limit:
        return name
    head, tail = name, name
    while text_columns(head) > (limit - 1) * 2 // 3:
        head = head[:-1]
    while text_columns(tail) > limit - 1 - text_columns(head):
        tail = tail[1:]
    return f"{head.rstrip()}…{tail.lstrip()}"


def text_columns(text: str) -> int:
    """How wide a text is in columns; wide letters, such as Chinese and Korean ones, take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


@cache
def _chosen(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The font families for `letters`, most important first, and the letters that they can draw."""
    bundled = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    names, drawable = [FONT], letters & _letters(str(bundled), 0)
    while drawable != letters:
        # The font with most of the missing letters next; of equals, the first.
        found = [
            (letters & _letters(entry.fname, entry.index), entry.name) for entry in _installed()
        ]
        more, name = max(found, key=lambda font: len(font[0] - drawable), default=(frozenset(), ""))
        if not more - drawable:
            break
        names.append(name)
        drawable |= more
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
