"""Every photo of a trial with its label and its answer, as a table that commands read again."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from graft.prediction.output import path_from
from graft.testing.trial import Trial

# Before the names of classes: they hide no other column.
_OF_CLASS = "p_"
_YES = {True: "yes", False: "no"}


def write_trial_csv(file: TextIO, trial: Trial, place: Path | None) -> None:
    """A CSV with a row a photo.

    The columns are path, label, answer, confidence and correct; counted; unit, equal for photos
    that belong together; group, if any has one; p_CLASS for each class; and reason, why a photo
    cannot be read or does not count. So it is a table of labelled photos, and `graft predict`,
    `graft test` and `dataset.path` take it.

    Args:
        file: opened without a translation of line ends.
        trial: whose photos these are.
        place: where the file will be, from whose folder paths are; None if it is no file.
    """
    rows = list(_list_rows(trial, place))
    columns = [name for name in rows[0] if name not in ("probabilities", "reason")]
    names = [_OF_CLASS + name for name in trial.model.description.classes]
    # A name may hold what divides cells in other tables: in quotes it divides nothing.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain = csv.writer(file, lineterminator="\n")
    odd = any(set(name).intersection(";\t|\r") for name in names)
    columns_written = [*columns, *names, "reason"]
    (writer if odd else plain).writerow(columns_written)
    for row in rows:
        cells = [_write_cell(row[name]) for name in columns]
        shares = row["probabilities"].values() or [""] * len(names)
        line = [*cells, *shares, row["reason"]]
        # The module knows that a name with a line feed needs quotes, but not one with a return.
        (writer if any("\r" in str(cell) for cell in line) else plain).writerow(line)


def write_trial_lines(file: TextIO, trial: Trial, place: Path | None) -> None:
    """A JSON object a photo and line, with the keys of the CSV; `probabilities` is an object."""
    for row in _list_rows(trial, place):
        print(json.dumps(row, ensure_ascii=False), file=file)


def _write_cell(value: Any) -> Any:
    return _YES[value] if isinstance(value, bool) else "" if value is None else value


def _list_rows(trial: Trial, place: Path | None) -> Iterator[dict[str, Any]]:
    photos, classes = trial.gathered.photos, trial.model.description.classes
    grouped = bool((photos["group"] != "").any())
    for photo in photos.itertuples():
        path = photo.file if place is None else path_from(place, photo.file)
        row: dict[str, Any] = {"path": path, "label": photo.label}
        row |= dict.fromkeys(("answer", "confidence", "correct"))
        shares: dict[str, float] = {}
        if photo.row >= 0:
            own = trial.gathered.probabilities[photo.row]
            rounded = own.astype(float).round(6).tolist()
            best = int(np.argmax(own))
            row |= {"answer": classes[best], "confidence": rounded[best]}
            row["correct"] = best == photo.truth
            shares = dict(zip(classes, rounded, strict=True))
        row |= {"counted": photo.left_out == "", "unit": int(photo.unit)}
        row |= {"group": photo.group} if grouped else {}
        yield row | {"probabilities": shares, "reason": photo.left_out}
