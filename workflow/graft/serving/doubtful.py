"""Which pictures a person should look at: labels that are suspected, then mistakes of the model."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from graft.common.tables import read_table
from graft.serving.collection import MISTAKEN, SUSPECTED, Collection

# More than a person looks at between two builds, which make the list anew.
_MOST = 2000


class Doubt(NamedTuple):
    """A picture to look at, and why.

    Attributes:
        id: of the picture.
        kind: `suspected`, where classifiers that have not learned from it think otherwise, or
            `mistake`, of the chosen model in validation or test.
        label: what the picture is called.
        looks_like: the class that it is taken for.
        confidence: of that, 0–1.
        wrong: how probably the label is wrong, 0–1; None where that is not known, or may be
            chance.
    """

    id: str
    kind: str
    label: str
    looks_like: str
    confidence: float
    wrong: float | None


def list_doubts(collection: Collection) -> list[Doubt]:
    """The doubts of the last build, the worst first; each picture once, and at most _MOST.

    What a correction has decided in a build is not doubted again, and what has another label by now
    than the tables of the build say is none of theirs.

    Args:
        collection: the data set.
    """
    found: dict[str, Doubt] = {}
    for doubt in (*_suspected(collection), *_mistaken(collection)):
        picture = collection.pictures[doubt.id]
        if picture.labels == (doubt.label,) and not picture.by_hand:
            found.setdefault(doubt.id, doubt)
    return list(found.values())[:_MOST]


def _suspected(collection: Collection) -> Iterator[Doubt]:
    if collection.signs[SUSPECTED] is None:
        return
    # The table has the most doubtful first.
    for row in _own(read_table(SUSPECTED), collection).to_dict("records"):
        # Of one that is not likely, the model of noise may owe its number to chance.
        likely = row["likely"] == "yes" and row.get("wrong")
        wrong = float(row["wrong"]) if likely else None
        seen = row["looks_like"], float(row["confidence"])
        yield Doubt(collection.ids[row["path"]], "suspected", row["label"], *seen, wrong)


def _mistaken(collection: Collection) -> Iterator[Doubt]:
    tables = [read_table(path) for path in MISTAKEN if collection.signs[path] is not None]
    if not tables:
        return
    table = pd.concat(tables)
    table = _own(table[table["label"] != table["predicted"]], collection)
    surest = table["confidence"].astype(float).sort_values(ascending=False, kind="stable").index
    for row in table.loc[surest].to_dict("records"):
        id_ = collection.ids[row["path"]]
        confidence = float(row["confidence"])
        yield Doubt(id_, "mistake", row["label"], row["predicted"], confidence, None)


def _own(table: pd.DataFrame, collection: Collection) -> pd.DataFrame:
    """The rows whose picture is there; the tables may be of another data set."""
    return table[table["path"].isin(collection.ids.keys())].reset_index(drop=True)
