"""The rows of the parts, as the stages read them."""

from pathlib import Path

import numpy as np
import pandas as pd

from digits import digits, parts, store
from graft.parts.rows import read_parts
from trainings import stage_here


def test_equal_files_count_once_where_a_model_is_judged(empty: Path) -> None:
    features, labels = digits(50)
    store({"top": features}, labels)
    split = pd.read_csv("data/split.csv")
    # Each file is there a second time under another name, and some under another label, too.
    split["id"] = split["id"].astype(str)
    copies = split.assign(path="copy of " + split["path"])
    other = copies[:4].assign(label="class 9", path="other " + split["path"][:4])
    pd.concat([split, copies, other]).to_csv("data/split.csv", index=False)
    found = read_parts(stage_here("depth"), "data/features")
    counts = {name: int((parts(50) == name).sum()) for name in found}
    assert len(found["train"]) == 2 * counts["train"] + 2
    for name in ("valid", "test"):
        part = found[name]
        assert len(part) == counts[name] + 1
        assert list(part.paths[:-1]) == list(split["path"][parts(50) == name])
        assert part.paths[-1].startswith("other ")
        where = np.flatnonzero(parts(50) == name)
        assert np.array_equal(part[slice(0, len(where))], features[where])
