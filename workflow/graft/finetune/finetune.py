"""Train the network and its head together, from the trained head (Kumar et al. 2022, LP-FT)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json, write_json
from graft.training.augmentation import build_augmentation
from graft.training.repeats import repeat_row, write_repeats
from graft.training.rows import LabelledRows, read_parts

if TYPE_CHECKING:
    from graft.finetune.cut import Halves
    from graft.finetune.freeze import ParameterCounts
    from graft.models.framework import keras

_RATES = ("finetune.learning_rate", "finetune.head_learning_rate")


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        model: from pixels 0–255, float32 (batch, side, side, 3), to class probabilities.
        halves: its frozen part and its tail.
        head: the trained head, a part of the tail.
        counts: how many parameters there are.
    """

    model: "keras.Model"
    halves: "Halves"
    head: "keras.Model"
    counts: "ParameterCounts"


@dataclass(frozen=True)
class Result:
    """The result of a training.

    Attributes:
        history: a row an epoch: epoch, loss, accuracy, val_loss, val_accuracy. Epoch 0 is the
            start, which has no loss and accuracy of its own.
        best: the epoch whose weights the model has; 0 if all were worse than the start.
        probabilities: float32 (n, classes) on the test part.
    """

    history: pd.DataFrame
    best: int
    probabilities: np.ndarray


def main(stage: Stage) -> None:
    """Writes the best model from pixels 0–255 to class probabilities, and how it was trained.

    Raises:
        UserError: a loss is not finite, or `finetune.cut` asks for what cannot be.
    """
    pixels = read_parts(stage, "data/tensors")
    pixels["train"] = pixels["train"].with_views(stage.input("data/views/pixels.npy"))
    from graft.finetune.stored import open_training_data
    from graft.models.saving import save_graph, save_model
    from graft.training.loop import write_history

    seed = stage["finetune.seed"]
    first = build_start(stage, seed)
    trained = first.counts.trained
    print(f"finetune: {trained:,} parameters trained, {first.counts.parameters - trained:,} frozen")
    with open_training_data(stage, first.halves, pixels) as data:
        stored = data is not pixels
        result = train_from(stage, seed, first, data, stored)
        results = {seed: result}
        for other in range(seed + 1, seed + stage["finetune.repeats"]):
            # From the files anew: it must be what a run with that seed alone would give.
            results[other] = train_from(stage, other, build_start(stage, other), data, stored)
    labels = pixels["test"].labels
    table = [repeat_row(s, r.history, r.best, r.probabilities, labels) for s, r in results.items()]
    summary = _summarise(first, result, first.halves.cut if stored else "none")
    save_model(first.model, stage.output("data/models/finetuned.keras"))
    save_graph(first.model, stage.output("data/models/finetuned.xml"))
    write_history(stage.output("reports/finetuned/history.csv"), result.history[1:])
    write_json(stage.output("reports/finetuned/training.json"), summary)
    write_repeats(stage.output("reports/finetuned/repeats.csv"), table)


def build_start(stage: Stage, seed: int) -> Start:
    """The trained head on the network, cut off at the layer whose features it was trained on.

    Args:
        stage: says which layers are trained.
        seed: draws the dropout.
    """
    from graft.finetune.cut import cut_model
    from graft.finetune.freeze import count_sizes
    from graft.models.framework import keras
    from graft.models.pooling import truncated
    from graft.models.saving import load_model

    keras.utils.set_random_seed(seed)
    backbone = load_model(stage.input("data/backbone/network.keras"))
    head = load_model(stage.input("data/models/head.keras"))
    depth = read_json(stage.input("data/depth/layer.json"))
    count = read_json(stage.input("data/depth/unfreeze.json"))["unfreeze"]
    if depth["start"]:  # the first column is that of the layer at which the network ends itself
        backbone = truncated(backbone, depth["layer"], depth["pooling"])
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    counts = count_sizes(model, backbone, count, stage["backbone.weights"] != "none")
    return Start(model, cut_model(model, backbone, head), head, counts)


def train_from(
    stage: Stage, seed: int, start: Start, data: Mapping[str, LabelledRows], stored: bool
) -> Result:
    """Trains the tail, and leaves the model with the weights that were best on validation.

    Args:
        stage: the parameters of the training.
        seed: shuffles.
        start: what is trained.
        data: train, valid and test: pixels, or stored outputs of the frozen part.
        stored: whether they are the latter.

    Raises:
        UserError: a loss is infinite or not a number.
    """
    from graft.training.loop import Batches, best_epoch, fit

    model = start.halves.tail if stored else _on_pixels(stage, start)
    batch, class_weight = stage["finetune.batch"], stage["finetune.class_weight"]
    train = Batches(data["train"], batch, seed, class_weight)
    valid = Batches(data["valid"], batch, class_weight=class_weight)
    _compile(stage, model, start.head, len(train))
    before = model.get_weights()
    judged = model.evaluate(valid, verbose=0, return_dict=True)
    epochs, patience = stage["finetune.epochs"], stage["finetune.patience"]
    rates, monitor = {key: stage[key] for key in _RATES}, stage["finetune.monitor"]
    history = fit("finetune", model, train, valid, epochs, patience, rates, monitor)
    zero = {"epoch": 0, "val_loss": judged["loss"], "val_accuracy": judged["accuracy"]}
    history = pd.DataFrame([zero, *history.to_dict("records")], columns=history.columns)
    best = best_epoch(history, monitor)
    if best == 0:
        model.set_weights(before)
    return Result(history, best, model.predict(Batches(data["test"], batch), verbose=0))


def _compile(stage: Stage, model: "keras.Model", head: "keras.Model", steps: int) -> None:
    from graft.training.loop import compile_model
    from graft.training.optimizers import two_rates

    optimizer = two_rates(
        stage["finetune.optimizer"],
        *(stage[key] for key in _RATES),
        head=head.trainable_variables,
        warmup=stage["finetune.warmup"] * steps,
        steps=stage["finetune.epochs"] * steps,
        weight_decay=stage["finetune.weight_decay"],
    )
    compile_model(model, optimizer, stage["finetune.label_smoothing"])


def _on_pixels(stage: Stage, start: Start) -> "keras.Model":
    """The model with its frozen part in front, and random changes before that.

    The changes are no part of the model that is saved. Stored views have been changed already.
    """
    from graft.finetune.cut import Frozen
    from graft.models.framework import keras

    side, frozen = start.model.input_shape[1], start.halves.frozen
    change = None if stage["augment.copies"] else build_augmentation(stage, side)
    inputs = keras.Input((side, side, 3), name="pixels")
    x = inputs if change is None else change(inputs)
    if frozen is not None:
        x = Frozen(frozen)(x)
    return keras.Model(inputs, start.halves.tail(x))


def _summarise(start: Start, result: Result, cut: str) -> dict[str, Any]:
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
        **start.counts._asdict(),
        "epochs": int(epochs.index.max()),
        "best_epoch": result.best,
        **judged,
        "chosen": "finetuned" if result.best else "head",
        "cut": cut,
    }
