"""The page of the report: one file of HTML, made from what the sections show."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from graft.common.classes import PARTS
from graft.report.reading import Tested
from graft.report.wording import open_page_templates

_TEMPLATES = Path(__file__).parent / "templates"
# The file that has all answers of a model, as the script writes it.
_ANSWERS = "reports/${key}/predictions.csv"


def render_page(tested: Tested, sections: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """The page as HTML: one file that asks for no other.

    Args:
        tested: the models on the test part.
        sections: what each section shows, by the name of its template; one that is missing is not
            on the page.
        parameters: of the build, by dotted key.
    """
    return render_sections(tested, sections, parameters=parameters, part_names=PARTS)


def render_sections(
    tested: Tested,
    sections: Mapping[str, Any],
    *folders: Path,
    answers: str | None = None,
    **values: Any,
) -> str:
    """A page of the same looks, with any sections.

    Args:
        tested: models on some photos.
        sections: what each section shows, by the name of its template.
        folders: where other templates than those of the report are.
        answers: what has all answers, where it is not the table of the stage `evaluate`; without
            any of the characters that end a text in a script.
        values: what the templates ask for besides: `parameters`, by dotted key, of which
            `dataset.path` is the title; and `questions`, where they are not those of the report: of
            each section its name, its short name and its question.
    """
    template = open_page_templates(*folders).get_template("page.html.j2")
    script = read_asset("page.js")
    if answers is not None:
        script = script.replace(_ANSWERS, answers)
        values["answers"] = answers
    # The Content-Security-Policy names it, so that no other script may run.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return template.render(
        **tested._asdict(),
        chosen=tested.chosen,
        sections=sections,
        **values,
        style=read_asset("page.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        data=write_data(_script_data(tested, sections)),
    )


@cache
def read_asset(name: str) -> str:
    """The style sheet or the script, as the page has it."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8").strip()
    if "</" in text or "<!--" in text:
        raise ValueError(f"{name} would end its own element")
    return f"\n{text}\n"


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
