"""What a test reads from the report's page, and small tables that the page is made from."""

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd

from cases import read_cases
from graft.common.classes import ALL_CLASSES, LEFT_OUT, PARTS
from graft.report.page import render_page
from graft.report.reading import ReportedModel, Tested
from graft.report.sections.audit import LEAKS, summarise_images

CASES = read_cases(__file__)

METRICS = CASES["metrics"]
# What classifiers said of all images that did not learn from them, as the page shows it.
CROSSED = CASES["crossed"]
# The reasons for which a file in the summary could not be read; the last would be markup.
MARKUP = "</td><script>alert(1)</script>\u202e {{ 7 * 7 }} & \"quoted\" 'text'"
BAD = ("zero bytes", "truncated", MARKUP)
HISTORY_COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
_LARGE = ["path", "pictures", "of", "near", "level", "copies", "cluster"]
_PAIR = ["kind", "first", "first_label", "second", "second_label", "difference"]


def noise(*shape: int) -> np.ndarray:
    """Squares of noise, uint8 (*shape, side, 3): the last length of the shape is the side."""
    return np.random.default_rng(1).integers(0, 256, (*shape, shape[-1], 3), np.uint8)


def reported(key: str, predicted: Sequence[int], labels: Sequence[int], **values: Any) -> Any:
    """A model of as many classes as there are labels, with its answers; the rest is made up."""
    n = max(*predicted, *labels) + 1
    counts = np.zeros((n, n), int)
    np.add.at(counts, (np.array(labels), np.array(predicted)), 1)
    confidence = np.linspace(0.9, 0.5, len(labels))
    probabilities = np.repeat((1 - confidence)[:, None] / (n - 1), n, 1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    trained = {"epochs": 2, "best_epoch": 2, "val_loss": 0.25, "val_accuracy": 0.9}
    known = {
        **{"key": key, "name": {"head": "Head", "finetuned": "Fine-tuned model"}[key]},
        "metrics": METRICS,
        "history": pd.DataFrame(
            [(epoch, 1, 0.5, 1, 0.5) for epoch in (1, 2)], columns=HISTORY_COLUMNS
        ),
        "training": trained | {"temperature": 1.0},
        "predicted": np.array(predicted),
        "confidence": confidence,
        "counts": counts,
        "probabilities": probabilities,
    }
    return ReportedModel(**known | values)


def outcome(
    *models: ReportedModel, labels: Sequence[int] = (0, 1), classes: Sequence[str] = "ab"
) -> Tested:
    """The test part with some models, the chosen one first; two that are right without any."""
    own = models or (reported("finetuned", labels, labels), reported("head", labels, labels))
    return Tested(
        classes=tuple(classes),
        paths=np.array([f"photo {i}" for i in range(len(labels))], object),
        labels=np.array(labels),
        units=np.arange(len(labels)),
        models=own,
        all_models=tuple(sorted(own, key=lambda model: model.key != "head")),
    )


def rendered(sections: dict[str, Any], found: Tested | None = None, **parameters: Any) -> Any:
    """The page of some sections; `__` in the name of a parameter is its dot."""
    values = {key.replace("__", "."): value for key, value in parameters.items()}
    return Page(
        render_page(
            found or outcome(),
            sections,
            {"dataset.path": "photos", "dataset.corrections": "data/corrections.csv"} | values,
        )
    )


class Page(HTMLParser):
    """A page as a browser reads it.

    Attributes:
        texts: each run of text by itself.
        text: all of them in one line.
        tags: the names of the elements.
        handlers: attributes that would run a script.
        addresses: of everything that the page shows or leads to; not those within the page.
        scripts: the contents of the script elements: data, and the one that runs.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside = tag
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.addresses = [address for address in self.addresses if address[:1] != "#"]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.texts.append(data)


def doubts(*rows: Sequence[object]) -> pd.DataFrame:
    """The table `label_errors.csv` as the page reads it."""
    columns = ["path", "part", "label", "looks_like", "confidence", "self_confidence"]
    columns += ["wrong", "likely"]
    return pd.DataFrame([tuple(map(str, row)) for row in rows], columns=columns, dtype=str)


def in_parts(**counts: Sequence[int]) -> list[tuple[str, str]]:
    """Label and part of each image, from the counts in train, valid and test of each class."""
    return [
        (label, part)
        for label, numbers in counts.items()
        for part, number in zip(PARTS, numbers, strict=True)
        for _ in range(number)
    ]


def audited(
    files: Sequence[tuple[str, str]],
    pairs: Sequence[Sequence[str]] = (),
    side: int = 32,
    chosen: str | Sequence[str] = ALL_CLASSES,
    large: Sequence[Sequence[str]] = (),
    changed: int = 0,
    **counts: int,
) -> dict[str, Any]:
    """The summary of files none of which is a copy of another.

    Args:
        files: label and part of each; one left out for a reason of `BAD` could not be read.
        pairs: rows of `pairs.csv`.
        side: of their pictures, in pixels.
        chosen: as `dataset.classes`.
        large: rows of `large.csv`.
        changed: how many rows `changed.csv` has.
        counts: what `split.json` has, where it differs from a split without a fault.
    """
    rows = [(str(i), f"{label}/{i}", label, part) for i, (label, part) in enumerate(files)]
    split = pd.DataFrame(rows, columns=["id", "path", "label", "part"], dtype=str)
    reason = split["part"].str.removeprefix(LEFT_OUT)
    bad = reason.isin(BAD)
    status = np.where(bad, "quarantined", "ok")
    checked = split[["id"]].assign(status=status, reason=reason.where(bad, ""))
    used = split[split["part"].isin(PARTS)]
    table = pd.crosstab(used["label"], used["part"]).reindex(columns=PARTS, fill_value=0)
    rows = [
        (label, part, str(n), f"{n / row.sum():.6f}", str(n))
        for label, row in table.iterrows()
        for part, n in row.items()
    ]
    columns = ["label", "part", "images", "share", "groups"]
    clean = dict.fromkeys(LEAKS, 0) | {"clusters": 0, "duplicates": 0}
    return summarise_images(
        split=split,
        # The rows of the shards come in another order than those of the split.
        checked=checked[::-1],
        parts=pd.DataFrame(rows, columns=columns, dtype=str),
        counts=clean | {"images": len(split), "groups": len(used)} | counts,
        pairs=pd.DataFrame(list(pairs), columns=_PAIR, dtype=str),
        pictures=noise(len(pairs), 2, side),
        large=pd.DataFrame(list(large), columns=_LARGE, dtype=str),
        changed=changed,
        chosen=chosen,
    )
