"""Are the labels right: images that look like another class than their label says."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from graft.report.thumbnails import Album

_SHOWN = 60  # with pictures
_COPIED = 1000  # rows for the clipboard
_COMPUTED = ("=", "+", "-", "@", "\t", "\r")  # how cells begin that a spreadsheet computes


def summarise_doubts(
    measured: Mapping[str, Any], errors: pd.DataFrame, album: Album
) -> dict[str, Any]:
    """What the page says of the classifiers that judged every image, and of labels that look wrong.

    Args:
        measured: as `cross_validation.json` has it.
        errors: str columns path, part, label, looks_like, confidence, self_confidence, wrong and
            likely, the most doubtful image first.
        album: the pictures.

    Returns:
        The values of `measured`; `leads` says whether the cross-validated accuracy is the headline,
        which needs an image that could be judged; errors: the rows with numbers and their pictures,
        None where there is none; and csv, the table as text.
    """
    numbers = dict.fromkeys(("confidence", "self_confidence", "wrong"), float)
    rows = errors.astype(numbers).to_dict("records")
    for place, row in enumerate(rows):
        row["picture"] = album[row["path"]] if place < _SHOWN else None
    return {
        **measured,
        "errors": rows,
        "leads": measured["headline"] == "cross_validation" and measured["n"] > 0,
        "csv": write_spreadsheet(errors.head(_COPIED)),
    }


def write_spreadsheet(table: pd.DataFrame) -> str:
    """A table as CSV that a spreadsheet reads as text.

    A cell that a spreadsheet would compute, such as a file called `=1+1`, gets an apostrophe.
    """
    quoted = table.map(lambda cell: f"'{cell}" if cell.startswith(_COMPUTED) else cell)
    return quoted.to_csv(index=False, lineterminator="\r\n")
