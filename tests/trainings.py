"""A folder in which a head has been trained, made without the stages before fine-tuning."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from graft.common import tables
from images import ROOT, SHARDS, SIDE, workspace

CNN = "data/pretrained/cnn-cifar10.weights.h5"
STILL = {"augment.rotation": 0, "augment.shift": 0.0, "augment.zoom": 0.0}
# Small trainings of the committed network; no change of images is switched on.
SMALL = {
    **STILL,
    "backbone.weights": CNN,
    "finetune.batch": 8,
    "finetune.epochs": 2,
    "finetune.warmup": 0,
}
COUNTS = {"train": 36, "valid": 12, "test": 12}


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is the channel that is bright: uint8 (n, SIDE, SIDE, 3), int64 (n,).

    The third class is rare.
    """
    generator = np.random.default_rng(seed)
    labels = np.resize([0, 1, 0, 1, 2], n)
    pixels = generator.integers(0, 120, (n, SIDE, SIDE, 3))
    pixels[np.arange(n), :, :, labels] += 100
    return pixels.astype(np.uint8), labels


def place(folder: Path, changes: Mapping[str, Any]) -> None:
    """Puts parameters, the split and tensors of COUNTS pictures into a folder, three classes."""
    workspace(folder, {**SMALL, **changes})
    (folder / "data/pretrained").mkdir(parents=True)
    shutil.copyfile(ROOT / CNN, folder / CNN)
    parts = np.repeat([*COUNTS], [*COUNTS.values()])
    pixels, labels = pictures(len(parts))
    ids = np.array([f"{i}" for i in range(len(parts))])
    split = pd.DataFrame({"id": ids, "label": np.array([*"abc"])[labels], "part": parts})
    split["path"] = split["id"] + ".png"
    tables.write(folder / "data/split.csv", split)
    for shard in range(SHARDS):
        mine = np.arange(shard, len(parts), SHARDS)
        table = pd.DataFrame({"id": ids[mine], "status": "ok"})
        tables.write(folder / f"data/tensors/{shard}.csv", table)
        np.save(folder / f"data/tensors/{shard}.npy", pixels[mine])


def start(depth: int = 0, unfreeze: int = 9) -> None:
    """Puts a trained head into the present folder, where `backbone` has run.

    Args:
        depth: which row of `depths.json` is the layer that the head stands on.
        unfreeze: how many layers are trained, from there downwards.
    """
    from graft.models import saving as models
    from graft.models.framework import keras
    from graft.models.inference import in_batches, run

    layer = json.loads(Path("data/backbone/depths.json").read_text())[depth]
    pixels, labels = pictures(COUNTS["train"])
    features = np.concatenate([*run(Path("data/backbone/graph.xml"), in_batches(pixels))])
    features = features[:, layer["start"] : layer["start"] + layer["width"]]
    fitted = LogisticRegression(max_iter=1000).fit(features, labels)
    inputs = keras.Input((layer["width"],), name="features")
    head = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs), name="head")
    head.set_weights([fitted.coef_.T, fitted.intercept_])
    for folder in ("data/models", "data/depth"):
        Path(folder).mkdir(exist_ok=True)
    models.save(head, Path("data/models/head.keras"))
    # What the stage `depth` would write.
    Path("data/depth/layer.json").write_text(json.dumps(layer))
    Path("data/depth/unfreeze.json").write_text(json.dumps({"unfreeze": unfreeze, "reason": ""}))
