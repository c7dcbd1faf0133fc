"""A folder in which a head has been trained, made without the stages before fine-tuning."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from digits import write_rows
from graft.common.arrays import Joined
from graft.common.stage import Stage
from graft.common.tables import read_json, write_json, write_table
from graft.integrity.ground import flatten
from graft.parts.rows import Rows
from graft.project.launcher import select_parameters
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from images import ROOT, SHARDS, SIDE, workspace

CNN = "data/pretrained/cnn-cifar10.weights.h5"
STILL = {"augment.rotation": 0, "augment.shift": 0.0, "augment.zoom": 0.0}
# Small trainings of the committed network; no change of images is switched on.
SMALL = {**STILL, "backbone.weights": CNN}
SMALL |= {"finetune.batch": 8, "finetune.epochs": 2, "finetune.warmup": 0}
BACKBONE = {"pooling": "avg", "seed": 1, "layer": "last", "stack": ()}
BACKBONE |= {"initializer": "glorot_uniform"}
SEED_COLUMNS = ["seed", "epochs", "val_loss", "val_accuracy", "accuracy", "log_loss"]
KNOWN = {"val_loss": 0.5, "val_accuracy": 0.75, "temperature": 1.25}
COUNTS = {"train": 36, "valid": 12, "test": 12}


def backbone(name: str, side: int, weights: str = "none", **more: Any) -> Any:
    """A backbone by the parameters that it depends on, where they are not BACKBONE."""
    from graft.backbone.architectures import build_backbone

    settings = BACKBONE | {"name": name, "weights": weights} | more
    chosen = {f"backbone.{key}": value for key, value in settings.items()}
    return build_backbone({**chosen, "image.side": side})


def blobs(labels: np.ndarray, seed: int = 0) -> Rows:
    """Points around a corner for each of three classes, which are near: float32 rows of width 3."""
    points = np.random.default_rng(seed).normal(size=(len(labels), 3)) + np.eye(3)[labels]
    ids, stored = tuple(map(str, range(len(labels)))), Joined([points.astype(np.float32)])
    return Rows(ids, ids, labels, tuple("abc"), stored, np.arange(len(labels)))


def cost(probabilities: np.ndarray, labels: np.ndarray, class_weight: str = "none") -> float:
    """The mean cross-entropy, nats: of all images, or `balanced`, of the classes' own means."""
    own = -np.log(probabilities[np.arange(len(labels)), labels].astype(float))
    weight = "balanced" if class_weight == "balanced" else None
    return float(np.average(own, weights=compute_sample_weight(weight, labels)))


def stage_here(address: str) -> Stage:
    """A stage as the launcher hands it over here, but that its outputs are no temporary files."""
    values = read_parameters()
    (found,) = (one for one in declarations(values) if one.address == address)
    parameters = select_parameters(found, flatten(values))
    return Stage(address, {}, parameters, found.inputs, {path: path for path in found.outputs})


def pictures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose class is the channel that is bright: uint8 (n, SIDE, SIDE, 3), int64 (n,).

    The third class is rare.
    """
    generator = np.random.default_rng(seed)
    labels = np.resize([0, 1, 0, 1, 2], n)
    pixels = generator.integers(0, 120, (n, SIDE, SIDE, 3))
    pixels[np.arange(n), :, :, labels] += 100
    return pixels.astype(np.uint8), labels


def place(changes: Mapping[str, Any]) -> None:
    """Puts parameters, the split and tensors of COUNTS pictures here, of three classes."""
    workspace(Path(), {**SMALL, **changes})
    Path("data/pretrained").mkdir(parents=True)
    shutil.copyfile(ROOT / CNN, CNN)
    parts = np.repeat([*COUNTS], [*COUNTS.values()])
    pixels, labels = pictures(len(parts))
    write_rows(np.array([*"abc"])[labels], parts, pixels, "tensors")


def describe(classes: Sequence[str] = ("a", "b", "c"), **changes: Any) -> Any:
    """What the files of a head might say of it."""
    from graft.models.description import ModelDescription

    about: dict[str, Any] = {
        **{"classes": tuple(classes), "inputs": "features", "side": SIDE, "fit": "stretch"},
        **{"network": "cnn", "weights": CNN, "layer": "residual_120_out", "pooling": "avg"},
        **{"temperature": 1.25, "accuracy": 0.8},
        **{"n": 12, "data": "0" * 64, "graft": "0.1.0"},
    }
    about |= changes
    return ModelDescription(units=((1, 1, about["n"]),), **about)


def start(depth: int = 0, unfreeze: int = 9, strength: float = 1.0) -> None:
    """Puts a trained head into the present folder, where `backbone` has run.

    Args:
        depth: the row of `depths.json` whose layer the head takes its features from.
        unfreeze: how many layers are trained, from there downwards.
        strength: times the weights that were fitted; below 0 the head is wrong.
    """
    from graft.models.description import write_description
    from graft.models.framework import keras
    from graft.models.inference import run_graph
    from graft.models.saving import BuiltModel

    layer = read_json(Path("data/backbone/depths.json"))["depths"][depth]
    pixels, labels = pictures(COUNTS["train"])
    features = np.concatenate([*run_graph(Path("data/backbone/graph.xml"), pixels)])
    features = features[:, layer["start"] : layer["start"] + layer["width"]]
    fitted = LogisticRegression(max_iter=1000).fit(features, labels)
    inputs = keras.Input((layer["width"],), name="features")
    head = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs), name="head")
    head.set_weights([strength * fitted.coef_.T, strength * fitted.intercept_])
    for folder in ("data/models", "data/depth"):
        Path(folder).mkdir(exist_ok=True)
    for save, kind in ((BuiltModel(head).save, "keras"), (BuiltModel(head).save_graph, "xml")):
        save(Path(f"data/models/head.{kind}"))
        write_description(Path(f"data/models/head.{kind}"), describe())
    # A second seed's head, and what is known of the first.
    others = {f"2/{number}": 0.9 * weight for number, weight in enumerate(head.get_weights())}
    np.savez("data/models/repeats.npz", **others)
    Path("reports/head").mkdir(parents=True, exist_ok=True)
    write_json(Path("reports/head/training.json"), {**KNOWN, "trained": head.count_params()})
    rows = [[1, 9, 0.5, 0.75, 0.8, 0.4], [2, 7, 0.6, 0.7, 0.9, 0.3]]
    write_table(Path("reports/head/repeats.csv"), pd.DataFrame(rows, columns=SEED_COLUMNS))
    # What the stage `depth` would write.
    write_json(Path("data/depth/layer.json"), layer)
    write_json(Path("data/depth/unfreeze.json"), {"unfreeze": unfreeze, "reason": ""})


def write_features() -> None:
    """Writes what the stage `features` would, where `backbone` has run."""
    from graft.models.inference import run_graph

    Path("data/features").mkdir(exist_ok=True)
    for shard in range(SHARDS):
        rows = run_graph(Path("data/backbone/graph.xml"), np.load(f"data/tensors/{shard}.npy"))
        np.save(f"data/features/{shard}.npy", np.concatenate([*rows]))
