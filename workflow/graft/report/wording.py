"""How the page writes numbers, names and sentences."""

import math
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft.common.numbers import say_percent

NO_BREAK = "\N{NO-BREAK SPACE}"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"  # a letter that cannot be shown
_BESIDE = 64  # columns of a name beside a photo
_TEMPLATES = Path(__file__).parent / "templates"


def percent(value: Any) -> str:
    """A fraction as a percentage with one decimal, such as `97.3 %`; – where it is no number."""
    return say_percent(value, space=NO_BREAK) if _is_finite(value) else "–"


def number(value: Any) -> str:
    """A number with the digits that a reader can use: three decimals, or none for a count."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.3f}" if _is_finite(value) else "–" if value is None else str(value)


def counted(n: int, one: str, many: str = "") -> str:
    """A count with what is counted, such as `1 file` or `1,234 files`."""
    return f"{n:,}{NO_BREAK}{one if n == 1 else many or one + 's'}"


def in_words(share: float) -> str:
    """A share as people say it, such as `2 in 100`, `4 in 1,000`, `all` or `none`.

    Args:
        share: 0–1.
    """
    if share in (0, 1):
        return "all" if share else "none"
    for of in (100, 1000, 10_000):
        n = round(share * of)
        if 0 < n < of:
            return f"{n:,} in {of:,}"
    return "fewer than 1 in 10,000" if share < 0.5 else "more than 9,999 in 10,000"


def shorten(name: str, limit: int = _BESIDE) -> str:
    """A name on one line, with an ellipsis inside where it takes more than `limit` columns.

    Both ends stay, since names that share a long beginning differ at the end.
    """
    # NFC: a Mac writes 한 into file names as three letters that fonts do not put together.
    name = "".join(
        letter if letter.isprintable() else " " if letter.isspace() else UNKNOWN
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


def open_page_templates(*folders: Path, autoescape: bool = True) -> Environment:
    """The templates of the page, with what it writes numbers and names by as filters.

    Args:
        folders: where else there are some.
        autoescape: whether every text that is put in is escaped, as a page must have it: names may
            hold anything.
    """
    environment = Environment(
        loader=FileSystemLoader((*folders, _TEMPLATES), encoding="utf-8"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"percent": percent, "number": number, "counted": counted, "in_words": in_words}
    environment.filters |= filters | {"short": shorten}
    environment.globals["say"] = say_sentence
    return environment


@cache
def _sentences() -> Any:
    return open_page_templates(autoescape=False).get_template("sentences.txt.j2").module


def say_sentence(sentence: str, **values: Any) -> str:
    """A sentence of the page, of that name in `sentences.txt.j2`; plain text, not yet escaped."""
    return re.sub(" *\n+ *", " ", getattr(_sentences(), sentence)(**values)).strip(" ")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
