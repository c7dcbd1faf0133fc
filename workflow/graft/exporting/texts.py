"""The texts of an export, from templates: the model card, `use.py`, and what the command says.

The card, `README.md`, is in the layout of Hugging Face. `use.py` is a short program that needs no
graft but the files of its decoder.
"""

import html
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from graft.common.numbers import say_bytes, say_percent
from graft.exporting.facts import Facts, Request
from graft.exporting.formats import FORMATS, ExportFormat, read_versions
from graft.network.hub import HUB
from graft.statistics.accuracy import interval_of_counts

_TEMPLATES = Path(__file__).parent / "templates"


def open_templates(folder: Path = _TEMPLATES) -> Environment:
    """The templates of plain texts. What is put in stays as it is: these are no pages.

    Args:
        folder: where they are; those of an export without it.
    """
    return Environment(
        loader=FileSystemLoader(folder, encoding="utf-8"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def fill_template(name: str, facts: Facts) -> str:
    """A text of an export.

    Args:
        name: `README.md` or `said.txt`, of which `NAME.j2` is the template.
        facts: what the template names, as it does what was requested.
    """
    environment = open_templates()
    # `md` makes text of any name.
    filters = {"md": as_markdown, "yaml": _scalar, "percent": say_percent, "bytes": say_bytes}
    environment.filters |= filters
    request = facts.request
    values = request._asdict() | facts._asdict()
    values |= {"about": request.description, "format": _find_format(request)}
    # The file of known photos; none for most formats.
    values["known"] = next((name for name in facts.files if name.endswith(".unknown.npz")), "")
    values["run_in"] = read_versions(request.kind, request.quantize)
    values["interval"] = interval_of_counts(request.description.units)
    return environment.get_template(f"{name}.j2").render(values)


def fill_program(request: Request, known: str) -> str:
    """The text of `use.py`.

    Args:
        request: what is exported.
        known: the name of the file of known photos; empty if there is none.
    """
    values = request._asdict() | {"format": _find_format(request), "known": known}
    return open_templates().get_template("use.py.j2").render(values)


def _find_format(request: Request) -> ExportFormat:
    """The format, with KerasHub among its packages where Keras needs it for the layers."""
    form = FORMATS[request.kind]
    of_hub = request.kind == "keras" and request.description.network.startswith(HUB)
    return form._replace(packages=f"{form.packages} keras-hub") if of_hub else form


def as_markdown(text: str) -> str:
    """A name as Markdown that shows just this name, on one line, also in a table."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(html.escape(shown, quote=False).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", line)


def _scalar(value: Any) -> str:
    """A text or number as YAML writes it."""
    return yaml.safe_dump(value, allow_unicode=True).removesuffix("\n").removesuffix("\n...")
