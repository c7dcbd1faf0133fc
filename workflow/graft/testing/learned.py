"""Which pictures a model was made from, by the table of its project."""

import hashlib
from pathlib import Path

from graft.common.classes import PARTS
from graft.common.tables import read_table
from graft.models.description import ModelDescription

SPLIT = Path("data/split.csv")


def find_learned(about: ModelDescription) -> dict[str, str] | None:
    """The part of each picture of the data set that a model was made from, by the picture's id.

    Args:
        about: what the model says of itself: it names the table by a hash.

    Returns:
        `train`, `valid` or `test`; of a picture in several parts, the first of these. None where
        the table is not here, or is of another model.
    """
    if not SPLIT.is_file() or hashlib.sha256(SPLIT.read_bytes()).hexdigest() != about.data:
        return None
    table = read_table(SPLIT, ["id", "part"])
    found: dict[str, str] = {}
    for part in PARTS:
        for id_ in table["id"][table["part"] == part]:
            found.setdefault(id_, part)
    return found
