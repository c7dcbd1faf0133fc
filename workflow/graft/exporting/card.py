"""The model card: `README.md` of an export, in the layout of Hugging Face."""

import html
import re
from dataclasses import asdict
from typing import Any

import yaml

from graft.common.numbers import say_bytes, say_percent
from graft.exporting.facts import Facts
from graft.exporting.formats import FORMATS
from graft.exporting.program import needed_packages, open_templates


def write_card(facts: Facts) -> str:
    """The text of a model card: YAML for programs, then Markdown for people."""
    environment = open_templates()  # `md` makes text of any name
    environment.filters |= {"md": as_markdown, "code": _code, "small": _small, "yaml": _scalar}
    environment.filters |= {"percent": say_percent, "bytes": say_bytes}
    request = facts.request
    values = request._asdict() | facts._asdict()
    return environment.get_template("card.md.j2").render(
        values,
        about=request.description,
        format=FORMATS[request.kind],
        metrics=request.metrics or asdict(request.description),
        packages=needed_packages(request.kind),
    )


def as_markdown(text: str) -> str:
    """A name as Markdown that shows just this name, on one line, also in a table."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(html.escape(shown, quote=False).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", line)


def _code(text: str) -> str:
    """A text to be put between backticks in a table."""
    return " ".join(text.replace("`", "'").replace("|", "/").split())


def _scalar(value: Any) -> str:
    """A text or number as YAML writes it."""
    return yaml.safe_dump(value, allow_unicode=True).removesuffix("\n").removesuffix("\n...")


def _small(value: float) -> str:
    return f"{value:.1g}" if value < 0.001 else f"{value:.3f}"
