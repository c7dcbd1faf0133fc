"""Are the labels right: images that look like another class than their label says."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.report.thumbnails import Album

SHOWN_DOUBTS = 60  # with pictures
_COPIED = 1000  # rows for the clipboard
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")  # how cells begin that a spreadsheet computes


def summarise_doubts(
    measured: Mapping[str, Any], errors: pd.DataFrame, album: Album | None = None
) -> dict[str, Any]:
    """What the page says of the classifiers that judged every image, and of labels that look wrong.

    Args:
        measured: as `cross_validation.json` has it.
        errors: str columns path, part, label, looks_like, confidence, self_confidence and likely,
            the most doubtful image first.
        album: the pictures; without it none are shown.

    Returns:
        The values of `measured`; `leads` says whether the cross-validated accuracy is the headline,
        which needs an image that could be judged; errors: the rows with numbers and their pictures,
        None where there is none; of them likely, those that are more than doubtful; and csv, the
        table as text.
    """
    rows = errors.astype({"confidence": float, "self_confidence": float}).to_dict("records")
    for place, row in enumerate(rows):
        shown = album is not None and place < SHOWN_DOUBTS
        row["picture"] = album[row["path"]] if shown else None
    leads = measured["headline"] == "cross_validation" and measured["n"] > 0
    return {
        **measured,
        "errors": rows,
        "likely": [row for row in rows if row["likely"]],
        "leads": leads,
        "csv": write_spreadsheet(errors.head(_COPIED)),
    }


def write_spreadsheet(table: pd.DataFrame) -> str:
    """A table as CSV that a spreadsheet reads as text.

    A cell that a spreadsheet would compute, such as a file called `=1+1`, gets an apostrophe.
    """
    quoted = table.map(lambda cell: f"'{cell}" if cell.startswith(_COMPUTED) else cell)
    return quoted.to_csv(index=False, lineterminator="\r\n")
