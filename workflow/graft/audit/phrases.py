"""Sentences of this room, from `sentences.txt.j2`."""

import re
from pathlib import Path
from typing import Any

_SENTENCES = Path(__file__).with_name("sentences.txt.j2")


def phrase(sentence: str, /, **values: Any) -> str:
    """The sentence of that name, or several, with these values: on one line."""
    from jinja2 import StrictUndefined, Template

    text = _SENTENCES.read_text(encoding="utf-8")
    made = Template(text, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined).module
    return re.sub(" *\n+ *", " ", getattr(made, sentence)(**values)).strip(" ")
