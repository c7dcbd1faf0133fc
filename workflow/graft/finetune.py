"""Train the network and its head together, from the trained head (Kumar et al. 2022, LP-FT)."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from graft import repeats
from graft.atomic import whole
from graft.augment import augmentation
from graft.rows import rows
from graft.stage import Stage

if TYPE_CHECKING:
    from graft.framework import keras
    from graft.freeze import Sizes
    from graft.tail import Parts
    from graft.training import Part


class Start(NamedTuple):
    """What a training starts from.

    Attributes:
        model: from pixels 0–255, float32 (batch, side, side, 3), to class probabilities.
        parts: its frozen part and its tail.
        head: the trained head, a part of the tail.
        sizes: how many parameters there are.
    """

    model: "keras.Model"
    parts: "Parts"
    head: "keras.Model"
    sizes: "Sizes"


class Result(NamedTuple):
    """What came of a training.

    Attributes:
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy. Epoch 0 is the
            start, which has no loss and accuracy of its own.
        best: the epoch whose weights the model has; 0 if all were worse than the start.
        probabilities: float32 (n, classes) on the test part.
    """

    history: pd.DataFrame
    best: int
    probabilities: np.ndarray


def main(arguments: list[str]) -> None:
    """Writes the best model from pixels 0–255 to class probabilities, and how it came about.

    Raises:
        UserError: a loss is not finite, or `finetune.cut` asks for what cannot be.
    """
    stage = Stage("finetune", arguments)
    files = (
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs("tensors_npy"),
        stage["dataset.classes"],
    )
    pixels = {part: rows(part, *files) for part in ("train", "valid", "test")}
    pixels["train"] = pixels["train"].with_views(stage.input("views_pixels_npy"))
    from graft import models, shortcut, training

    seed = stage["finetune.seed"]
    first = build(stage, seed)
    trained, frozen = first.sizes.trained, first.sizes.parameters - first.sizes.trained
    print(f"finetune: {trained:,} parameters trained, {frozen:,} frozen")

    def row(seed: int, result: Result) -> dict[str, float | int]:
        found = result.probabilities, pixels["test"].labels
        return repeats.row(seed, result.history, result.best, *found)

    with shortcut.data(stage, first.parts, pixels) as data:
        stored = data is not pixels
        result = train(stage, seed, first, data, stored)
        table = [row(seed, result)]
        for other in range(seed + 1, seed + stage["finetune.repeats"]):
            # From the files anew: it must be what a run with that seed alone would give.
            table.append(row(other, train(stage, other, build(stage, other), data, stored)))
    summary = summarise(first, result, first.parts.cut if stored else "none")
    names = (
        *("models_finetuned_keras", "models_finetuned_xml", "models_finetuned_bin"),
        *("finetuned_history_csv", "finetuned_training_json", "finetuned_repeats_csv"),
    )
    with whole(*(stage.output(name) for name in names)) as (network, graph, _, epochs, one, all_):
        models.save(first.model, network)
        models.save_graph(first.model, graph)
        training.write_history(epochs, result.history[1:])
        one.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
        repeats.write(all_, table)


def build(stage: Stage, seed: int) -> Start:
    """The trained head on the network, cut off at the layer whose features it was trained on.

    Args:
        stage: says which layers are trained.
        seed: draws the dropout.
    """
    from graft import architectures, models
    from graft.framework import keras
    from graft.freeze import sizes
    from graft.tail import divide

    keras.utils.set_random_seed(seed)
    backbone = models.load(stage.input("backbone_network_keras"))
    head = models.load(stage.input("models_head_keras"))
    depth = json.loads(stage.input("depth_layer_json").read_text(encoding="utf-8"))
    count = json.loads(stage.input("depth_unfreeze_json").read_text(encoding="utf-8"))["unfreeze"]
    if depth["start"]:  # the first column is that of the layer at which the network ends itself
        backbone = architectures.truncated(backbone, depth["layer"], depth["pooling"])
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    counted = sizes(model, backbone, count, stage["backbone.weights"] != "none")
    return Start(model, divide(model, backbone, head), head, counted)


def train(
    stage: Stage, seed: int, start: Start, data: "Mapping[str, Part]", stored: bool
) -> Result:
    """Trains the tail, and leaves the model with the weights that were best on validation.

    Args:
        stage: says how.
        seed: shuffles.
        start: what is trained.
        data: train, valid and test: pixels, or stored outputs of the frozen part.
        stored: whether they are the latter.

    Raises:
        UserError: a loss is infinite or not a number.
    """
    from graft import training
    from graft.optimizers import two_rates

    model = (
        start.parts.tail if stored else on_pixels(stage, start.parts, start.model.input_shape[1])
    )
    batch, class_weight = stage["finetune.batch"], stage["finetune.class_weight"]
    batches = training.Batches(data["train"], batch, seed, class_weight)
    valid = training.Batches(data["valid"], batch, class_weight=class_weight)
    rates = {key: stage[key] for key in ("finetune.learning_rate", "finetune.head_learning_rate")}
    optimizer = two_rates(
        stage["finetune.optimizer"],
        *rates.values(),
        head=start.head.trainable_variables,
        warmup=stage["finetune.warmup"] * len(batches),
        steps=stage["finetune.epochs"] * len(batches),
        weight_decay=stage["finetune.weight_decay"],
    )
    training.compile(model, optimizer, stage["finetune.label_smoothing"])
    before = model.get_weights()
    judged = model.evaluate(valid, verbose=0, return_dict=True)
    monitor = stage["finetune.monitor"]
    history = training.fit(
        "finetune",
        model,
        batches,
        valid,
        stage["finetune.epochs"],
        stage["finetune.patience"],
        rates,
        monitor,
    )
    zero = {"epoch": 0, "val_loss": judged["loss"], "val_accuracy": judged["accuracy"]}
    history = pd.DataFrame([zero, *history.to_dict("records")], columns=history.columns)
    best = training.best_epoch(history, monitor)
    if best == 0:
        model.set_weights(before)
    test = training.Batches(data["test"], batch)
    return Result(history, best, model.predict(test, verbose=0))


def on_pixels(stage: Stage, parts: "Parts", side: int) -> "keras.Model":
    """The model with its frozen part in front, and random changes before that.

    The changes are no part of the model that is saved. Stored views have been changed already.
    """
    from graft.framework import keras
    from graft.tail import Frozen

    change = None if stage["augment.copies"] else augmentation(stage, side)
    inputs = keras.Input((side, side, 3), name="pixels")
    x = inputs if change is None else change(inputs)
    if parts.frozen is not None:
        x = Frozen(parts.frozen)(x)
    return keras.Model(inputs, parts.tail(x))


def summarise(start: Start, result: Result, cut: str) -> dict[str, Any]:
    """What `training.json` says.

    Args:
        start: the model and how many parameters it has.
        result: of its training.
        cut: the layer whose outputs were stored, or `none`.
    """
    epochs = result.history.set_index("epoch")
    judged = {
        prefix + name: round(float(epochs.loc[epoch, name]), 6)
        for prefix, epoch in (("start_", 0), ("", result.best))
        for name in ("val_loss", "val_accuracy")
    }
    return {
        **start.sizes._asdict(),
        "epochs": int(epochs.index.max()),
        "best_epoch": result.best,
        **judged,
        "chosen": "finetuned" if result.best else "head",
        "cut": cut,
    }
