"""A folder in which the stages that read features can run, made without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from graft.common.tables import write_json, write_table
from images import SHARDS, SIDE, workspace


def digits(n: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Real features: the grey values of handwritten digits, float32 (n, 64), int64 (n,)."""
    pixels, labels = load_digits(return_X_y=True)
    mine = np.flatnonzero(labels < classes)[:n]
    return pixels[mine].astype(np.float32), labels[mine]


def parts(n: int) -> np.ndarray:
    """Three of five images for training, one for validation, one for testing."""
    return np.resize(["train", "valid", "train", "test", "train"], n)


def write_rows(
    labels: Sequence[str],
    part: np.ndarray,
    rows: np.ndarray,
    folder: str,
    units: Sequence[int] | np.ndarray | None = None,
) -> None:
    """Writes the split of some images, `image 0` …, and what a folder of `data` has of each.

    Args:
        labels: their classes.
        part: of each image.
        rows: an array whose first axis counts the images.
        folder: where its shards go.
        units: int (n,), equal for images that must stay together; otherwise none must.
    """
    split = pd.DataFrame({"id": [f"image {i}" for i in range(len(labels))], "label": labels})
    split = split.assign(path=split["id"] + ".png", part=part)
    units = range(len(labels)) if units is None else units
    write_table(Path("data/split.csv"), split)
    write_table(
        Path("data/manifest.csv"), split[["id", "path", "label"]].assign(by_hand="", reason="")
    )
    write_table(Path("data/units.csv"), pd.DataFrame({"id": split["id"], "unit": units}))
    for name in ("checked", folder):
        Path("data", name).mkdir(parents=True, exist_ok=True)
    for shard in range(SHARDS):
        mine = np.arange(shard, len(labels), SHARDS)
        table = pd.DataFrame({"id": split["id"][mine], "status": "ok"})
        write_table(Path(f"data/checked/{shard}.csv"), table)
        np.save(f"data/{folder}/{shard}.npy", rows[mine])


def store(
    depths: Mapping[str, np.ndarray],
    labels: np.ndarray,
    changes: Mapping[str, Any] | None = None,
    units: Sequence[int] | np.ndarray | None = None,
    views: np.ndarray | None = None,
) -> None:
    """Writes all that `depth`, `head` and `evaluate@head` read here, but the network.

    Args:
        depths: float32 (n, width) by layer, the last layer first, the others from the input on.
        labels: int (n,), classes called `class 0`, `class 1` ….
        changes: parameters that differ from those of the repository, by dotted key.
        units: int (n,), equal for images that must stay together; otherwise none must.
        views: float32 (copies · training images, all widths).
    """
    workspace(Path(), {"head.kind": "dense", **(changes or {})})
    n, start, rows = len(labels), 0, []
    for place, (layer, features) in enumerate(depths.items()):
        # Five layers lead from one depth to the next, and the last depth is the end of the network.
        count = 5 * (place or len(depths))
        row = {"layer": layer, "pooling": "avg", "width": features.shape[1], "start": start}
        rows.append(row | {"layers": count})
        start += features.shape[1]
    for name in ("backbone", "depth", "views"):
        Path("data", name).mkdir(parents=True, exist_ok=True)
    layers = [f"layer {number}" for number in range(5 * len(depths))]
    write_json(Path("data/backbone/depths.json"), {"layers": layers, "depths": rows})
    write_json(Path("data/depth/layer.json"), rows[0])
    names = [f"class {label}" for label in labels]
    together = np.concatenate(list(depths.values()), axis=1)
    np.save("data/views/features.npy", together[:0] if views is None else views)
    # The stages that take features read no pixels.
    write_rows(names, parts(n), np.zeros((n, SIDE, SIDE, 3), np.uint8), "tensors", units)
    write_rows(names, parts(n), together, "features", units)
