"""Train the network and its head together, from the trained head (Kumar et al. 2022, LP-FT)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from graft.common.stage import Stage
from graft.common.tables import read_json
from graft.finetune.cut import Frozen, Halves, cut_model
from graft.finetune.freeze import ParameterCounts, count_sizes
from graft.finetune.stored import open_training_data
from graft.models.framework import keras
from graft.models.pooling import truncated
from graft.models.saving import load_model
from graft.training.augmentation import build_augmentation
from graft.training.loop import Batches, best_epoch, compile_model, fit
from graft.training.optimizers import two_rates
from graft.training.results import Result, judge_epoch, write_results
from graft.training.rows import LabelledRows, read_parts


class Start(NamedTuple):
    """What a training starts from.

    Attributes:
        model: from pixels 0–255, float32 (batch, side, side, 3), to class probabilities.
        halves: its frozen part and its tail.
        head: the trained head, a part of the tail.
        counts: how many parameters there are.
    """

    model: keras.Model
    halves: Halves
    head: keras.Model
    counts: ParameterCounts


def main(stage: Stage) -> None:
    """Writes the best model from pixels 0–255 to class probabilities, and how it was trained.

    Raises:
        UserError: a loss is not finite, or `finetune.cut` asks for what cannot be.
    """
    pixels = read_parts(stage, "data/tensors")
    pixels["train"] = pixels["train"].with_views(stage.input("data/views/pixels.npy"))
    seed = stage["finetune.seed"]
    first = build_start(stage, seed)
    trained = first.counts.trained
    print(f"finetune: {trained:,} parameters trained, {first.counts.parameters - trained:,} frozen")
    with open_training_data(stage, first.halves, pixels) as data:
        stored = data is not pixels
        results = [train_from(stage, seed, first, data, stored)]
        for other in range(seed + 1, seed + stage["finetune.repeats"]):
            # From the files anew: it must be what a run with that seed alone would give.
            results.append(train_from(stage, other, build_start(stage, other), data, stored))
    summary = _summarise(first, results[0], first.halves.cut if stored else "none")
    write_results(stage, "finetuned", first.model, results, pixels["test"].labels, summary)


def build_start(stage: Stage, seed: int) -> Start:
    """The trained head on the network, cut off at the layer whose features it was trained on.

    Args:
        stage: says which layers are trained.
        seed: draws the dropout.
    """
    keras.utils.set_random_seed(seed)
    backbone = load_model(stage.input("data/backbone/network.keras"))
    head = load_model(stage.input("data/models/head.keras"))
    depth = read_json(stage.input("data/depth/layer.json"))
    count = read_json(stage.input("data/depth/unfreeze.json"))["unfreeze"]
    if depth["start"]:  # the first column is that of the network's own last layer
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

    Returns:
        The result, whose history begins with epoch 0, the start; that is the best epoch where all
        others are worse.

    Raises:
        UserError: a loss is infinite or not a number.
    """
    model = start.halves.tail if stored else _on_pixels(stage, start)
    batch, class_weight = stage["finetune.batch"], stage["finetune.class_weight"]
    train = Batches(data["train"], batch, seed, class_weight)
    valid = Batches(data["valid"], batch, class_weight=class_weight)
    optimizer = two_rates(stage, start.head.trainable_variables, len(train))
    compile_model(model, optimizer, stage["finetune.label_smoothing"])
    before = model.get_weights()
    judged = model.evaluate(valid, verbose=0, return_dict=True)
    zero = {"epoch": 0, "val_loss": judged["loss"], "val_accuracy": judged["accuracy"]}
    history = fit("finetune", stage, model, train, valid, stage.scratch, f"seed-{seed}")
    history = pd.DataFrame([zero, *history.to_dict("records")], columns=history.columns)
    best = best_epoch(history, stage["finetune.monitor"])
    if best == 0:
        model.set_weights(before)
    outputs = model.predict(Batches(data["test"], batch), verbose=0)
    return Result(seed, history, best, outputs)


def _on_pixels(stage: Stage, start: Start) -> keras.Model:
    """The model with its frozen part in front, and random changes before that.

    The changes are no part of the model that is saved. Stored views have been changed already.
    """
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
    judged = judge_epoch(result.history, 0)
    return {
        **start.counts._asdict(),
        "epochs": int(result.history["epoch"].max()),
        "best_epoch": result.best,
        **{f"start_{name}": value for name, value in judged.items()},
        **judge_epoch(result.history, result.best),
        "chosen": "finetuned" if result.best else "head",
        "cut": cut,
    }
