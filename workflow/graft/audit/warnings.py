"""Gather what a person should know, and say where images and network do not suit each other."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from graft.audit.fitness import find_few, find_grey, find_unsuited_sizes
from graft.common.arrays import Chosen, Joined, Stored, in_batches
from graft.common.cautions import Caution, read_warnings, write_warnings
from graft.common.classes import PARTS
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables

_SAMPLE = 800  # images that are looked at for colour


def main(stage: Stage) -> None:
    """Writes `warnings.json`: the warnings of earlier stages, then those of the images as a whole.

    They are a list of text and command. Those of earlier stages have been printed already.
    """
    earlier = [
        caution
        for name in ("manifest", "split")
        for caution in read_warnings(stage.input(f"data/warnings/{name}.json"))
    ]
    own = write_warnings(stage, "reports/warnings.json", _judge(stage), after=earlier)
    print(f"warnings: {len(earlier) + len(own)}")


def _judge(stage: Stage) -> Iterator[Caution]:
    split = read_table(stage.input("data/split.csv"), ["id", "label", "part"])
    used = split[split["part"].isin(PARTS)].drop_duplicates(["id", "label"])
    sizes = read_tables(stage.inputs("data/checked"), ["id", "width", "height"]).set_index("id")
    sizes = sizes.loc[used["id"]].astype(np.float64)
    units = read_table(stage.input("data/units.csv")).set_index("id")["unit"]
    yield from find_unsuited_sizes(sizes["width"], sizes["height"], stage)
    if _are_grey(stage):
        yield from find_grey(stage)
    learned = used[used["part"] == "train"]["label"].value_counts()
    tested = units.loc[used["id"][used["part"] == "test"]].nunique()
    yield from find_few(learned.reindex(pd.unique(used["label"]), fill_value=0), tested)


def _are_grey(stage: Stage) -> bool:
    """Whether nine in ten images have no colour, in a sample that their ids draw."""
    checked = read_tables(stage.inputs("data/checked"), ["id", "status"])
    ids = checked["id"][checked["status"] == "ok"].to_numpy()
    pixels = Joined([Stored(path) for path in stage.inputs("data/tensors")])
    sample = Chosen(pixels, np.sort(np.argsort(ids)[:_SAMPLE]))
    grey = [(images == images[..., :1]).all((1, 2, 3)) for images in in_batches(sample)]
    return bool(np.concatenate(grey).mean() >= 0.9)
