"""What can be refused of a data set by its list of files, before anything is decoded.

It only refuses, so no result depends on it. What decoding tells besides, such as how many images
of a class can be read, the stage `split` checks.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.common.classes import PARTS, choose_classes
from graft.common.errors import refuse
from graft.images.suggestions import suggest_above
from graft.project.pipeline import Declaration

MANIFEST = Path("data/manifest.csv")
_WHERE = "params.yaml: dataset.path"


def check_labels(stage: Declaration, flat: Mapping[str, Any]) -> None:
    """Checks that there is something to learn from, for every stage that reads the manifest.

    Args:
        stage: about to run.
        flat: all parameters by dotted key.

    Raises:
        UserError: there are fewer than two classes, `dataset.classes` names one that there is not,
            or a class has fewer different images than there are parts.
    """
    if MANIFEST not in stage.inputs:
        return
    found = _count_images(MANIFEST)
    classes = choose_classes(found, flat["dataset.classes"])
    if len(classes) < 2:
        path = Path(flat["dataset.path"])
        allowed = f"images of two classes or more, a folder for each{suggest_above(path)}"
        raise refuse(_WHERE, allowed, f"class {classes[0]!r} alone" if classes else "no class")
    for name in classes:
        if found[name] < len(PARTS):
            allowed = f"{len(PARTS)} or more, all different: one for each part"
            raise refuse(f"the images of class {name!r}", allowed, found[name])


def _count_images(path: Path) -> dict[str, int]:
    """How many different files each class has whose bytes could be read; `len(PARTS)` is enough."""
    found: dict[str, set[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        place = {name: number for number, name in enumerate(next(rows))}
        ids, labels, reasons = place["id"], place["label"], place["reason"]
        for row in rows:
            if row[labels]:
                known = found.setdefault(row[labels], set())
                if len(known) < len(PARTS) and not row[reasons]:
                    known.add(row[ids])
    return {name: len(known) for name, known in found.items()}
