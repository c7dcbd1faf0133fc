"""The page of the report: one file of HTML, made from what the sections show."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from graft.common.classes import PARTS
from graft.report.lettering import shorten
from graft.report.reading import Tested
from graft.report.wording import open_page_templates

_TEMPLATES = Path(__file__).parent / "templates"
_LONG = 64  # columns of a name beside a photo


def render_page(tested: Tested, sections: Mapping[str, Any], dataset: str) -> str:
    """The page as HTML: one file that asks for no other.

    Args:
        tested: the models on the test part.
        sections: what each section shows, by the name of its template; one that is missing is not
            on the page.
        dataset: the parameter `dataset.path`.
    """
    environment = make_environment()
    script = read_asset("page.js")
    return environment.get_template("page.html.j2").render(
        dataset=dataset,
        tested=tested,
        classes=tested.classes,
        models=tested.models,
        all_models=tested.all_models,
        sections=sections,
        part_names=PARTS,
        style=read_asset("page.css"),
        script=script,
        script_hash=hash_script(script),
        data=write_data(_script_data(tested, sections)),
    )


def make_environment(*folders: Path) -> Environment:
    """The templates, in which every text that is put in is escaped.

    Args:
        folders: where else there are some.
    """
    environment = open_page_templates(*folders, autoescape=True)  # names may hold anything
    environment.filters["short"] = short
    return environment


def short(name: str) -> str:
    """The name of a class where there is little room: both its ends, if it is very long."""
    return shorten(name, _LONG)


@cache
def read_asset(name: str) -> str:
    """The style sheet or the script, as the page has it."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8").strip()
    if "</" in text or "<!--" in text:
        raise ValueError(f"{name} would end its own element")
    return f"\n{text}\n"


def hash_script(script: str) -> str:
    """What the Content-Security-Policy says of a script that may run: no other does."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def write_data(values: Any) -> str:
    """Values as JSON inside of a script element, whatever names they hold."""
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    # No text can then begin or end an element.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script_data(tested: Tested, sections: Mapping[str, Any]) -> dict[str, Any]:
    """What the script needs beside the page itself."""
    matrix = sections.get("confusion", {})
    return {
        "classes": tested.classes,
        "models": [model.key for model in tested.models],
        "order": matrix.get("order", []),
        "cells": {key: own["cells"] for key, own in matrix.get("models", {}).items()},
        "csv": sections.get("labels", {}).get("csv", ""),
    }
