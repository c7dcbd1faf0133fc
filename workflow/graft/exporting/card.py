"""The model card: `README.md` of an export, in the layout of Hugging Face."""

import html
import re
from collections.abc import Mapping
from typing import Any

import yaml

from graft.common.numbers import say_bytes, say_percent
from graft.exporting.facts import Facts
from graft.exporting.formats import FORMATS
from graft.exporting.program import needed_packages, open_templates

_FITS = {
    "stretch": "both sides are stretched",
    "crop": "the square in its middle is resized",
    "pad": "padded with white to a square, and resized",
}
# The metrics of the card, by their names in `metrics.json`.
_SHARES = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
_NUMBERS = {"log_loss": "log loss", "ece": "calibration error"}


def write_card(facts: Facts) -> str:
    """The text of a model card: YAML for programs, then Markdown for people."""
    environment = open_templates()  # `md` makes text of any name
    environment.filters |= {"md": as_markdown, "code": _code, "small": _small}
    environment.filters["percent"] = say_percent
    about, split = facts.description, facts.split
    text = environment.get_template("card.md.j2").render(
        title=_title(facts),
        about=about,
        classes=about.classes,
        format=FORMATS[facts.kind],
        fits=_FITS,
        metrics=_rows(facts.metrics),
        packages=needed_packages(facts.kind),
        shares=[split[f"split.{part}"] for part in ("train", "valid", "test")],
        grouped=split["dataset.group"] != "none",
        size=say_bytes(facts.weight),
        **{
            name: getattr(facts, name)
            for name in ("agreement", "calibrated", "counts", "files", "kind", "licence")
        },
        quantize=facts.quantize,
        training=facts.training,
        version=facts.version,
    )
    matter = yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True)
    return f"---\n{matter}---\n\n{text}"


def _title(facts: Facts) -> str:
    return f"{facts.description.network} for {len(facts.description.classes)} classes of images"


def _front_matter(facts: Facts) -> dict[str, Any]:
    """What programs read, such as the site of Hugging Face; metrics are of this very file."""
    kind, about, agreement = FORMATS[facts.kind], facts.description, facts.agreement
    metric: dict[str, Any] = {"type": "accuracy", "name": "Accuracy"}
    if facts.quantize:
        low, high, n = agreement.low, agreement.high, agreement.n
        metric["value"] = round(agreement.after, 6)
    else:
        low, high, n = about.accuracy_low, about.accuracy_high, about.n
        metric["value"] = about.accuracy
    metric["args"] = {"low_95": round(low, 6), "high_95": round(high, 6), "images": n}
    dataset = {
        "type": "imagefolder",
        "name": f"the test part of images with the hash {about.data[:12]}",
        "split": "test",
    }
    task = {"type": "image-classification", "name": "Image classification"}
    result = {"task": task, "dataset": dataset, "metrics": [metric]}
    tags = ["image-classification", "graft", *kind.tags, *filter(None, [facts.quantize])]
    return {
        "license": facts.licence,
        "library_name": kind.library,
        "pipeline_tag": "image-classification",
        "tags": tags,
        "metrics": ["accuracy"],
        "model-index": [{"name": _title(facts), "results": [result]}],
    }


def _rows(metrics: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    found = []
    for names, show in ((_SHARES, say_percent), (_NUMBERS, lambda value: f"{value:.3f}")):
        for key, name in names.items():
            if key in metrics:
                values = (metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"])
                found.append((name, *map(show, values)))
    return found


def as_markdown(text: str) -> str:
    """A name as Markdown that shows just this name, on one line, also in a table."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(html.escape(shown, quote=False).split())
    return re.sub(r"([\\`*_{}\[\]()#+!|~$-])", r"\\\1", line)


def _code(text: str) -> str:
    """A text to be put between backticks in a table."""
    return " ".join(text.replace("`", "'").replace("|", "/").split())


def _small(value: float) -> str:
    return f"{value:.1g}" if value < 0.001 else f"{value:.3f}"
