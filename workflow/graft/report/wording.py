"""How the page writes numbers and sentences."""

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft.common.numbers import say_percent

NO_BREAK = "\N{NO-BREAK SPACE}"
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


def open_page_templates(*folders: Path, autoescape: bool) -> Environment:
    """The templates of the page, with what it writes numbers by as filters.

    Args:
        folders: where else there are some.
        autoescape: whether every text that is put in is escaped, as a page must have it.
    """
    environment = Environment(
        loader=FileSystemLoader((*folders, _TEMPLATES), encoding="utf-8"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"percent": percent, "number": number, "counted": counted, "in_words": in_words}
    environment.filters |= filters
    return environment


@cache
def _sentences() -> Any:
    return open_page_templates(autoescape=False).get_template("sentences.txt.j2").module


def say_sentence(sentence: str, **values: Any) -> str:
    """A sentence of the page, of that name in `sentences.txt.j2`; plain text, not yet escaped."""
    return re.sub(" *\n+ *", " ", getattr(_sentences(), sentence)(**values)).strip(" ")


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
