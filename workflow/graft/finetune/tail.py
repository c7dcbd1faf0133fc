"""The training of the tail, the part of a model that is not frozen, from the trained head."""

from collections.abc import Generator, Mapping
from typing import NamedTuple

import numpy as np

from graft.augmentation.by_step import StepAugmentation
from graft.augmentation.random_layers import switched_on
from graft.common.stage import Stage
from graft.common.tables import read_json, write_table
from graft.finetune.cut import Frozen, Halves, cut_model
from graft.finetune.freeze import count_sizes
from graft.finetune.line import STEPS, Judges, Step, take_step
from graft.finetune.start import describe_start
from graft.finetune.stored import TrainingData, frozen_outputs, open_training_data
from graft.judging.losses import weigh_images
from graft.models.framework import keras, name_device
from graft.models.layers import scale_logits
from graft.models.pooling import truncated
from graft.models.saving import BuiltModel, load_model
from graft.parts.rows import read_parts, read_units
from graft.training.batches import Batch, Batches
from graft.training.histories import best_epoch
from graft.training.loop import Preparation, compile_model, fit
from graft.training.optimizers import two_rates
from graft.training.results import Result, judge, write_trained
from graft.training.steps import predict_rows


class Start(NamedTuple):
    """What a training starts from.

    Attributes:
        model: from pixels 0–255, float32 (batch, side, side, 3), to class probabilities.
        halves: its frozen part and its tail.
        head: the trained head, a part of the tail.
        counts: how many parameters there are, as of `count_sizes`.
    """

    model: keras.Model
    halves: Halves
    head: keras.Model
    counts: Mapping[str, int]


def train_tail(stage: Stage) -> None:
    """Writes the trained model, and how it was trained.

    The first seeds of the head, of the training and of the augmentation give the model; each
    repeat takes the next of all three.

    Raises:
        UserError: a loss is not finite, or `finetune.cut` asks for what cannot be.
    """
    print("finetune: the network and its head are put together", flush=True)
    first = build_start(stage, 0)
    trained = first.counts["trained"]
    frozen = first.counts["parameters"] - trained
    print(f"finetune: {trained:,} parameters trained, {frozen:,} frozen")
    pixels = read_parts(stage, "data/tensors")
    units = read_units(stage.input("data/units.csv"), pixels["valid"].ids)
    pixels["train"] = pixels["train"].with_views(stage.input("data/views/pixels.npy"))
    with open_training_data(stage, first.halves, pixels) as data:
        # The others from the files anew: what a run with these seeds alone would give.
        found = [
            train_from(stage, number, build_start(stage, number) if number else first, data, units)
            for number in range(stage["finetune.repeats"])
        ]
    results, (step, *_) = zip(*found, strict=True)
    before = judge(step.start, pixels["valid"].labels, stage["finetune.class_weight"])
    known = describe_start(first.counts, before) | {"device": name_device(), "step": step.step}
    known["chosen"] = "finetuned" if step.step else "head"
    known["cut"] = first.halves.cut if data.stored else "none"
    write_table(stage.output("reports/finetuned/steps.csv"), step.tried)
    model = BuiltModel(first.model)
    write_trained(stage, "finetuned", model, pixels, results, known, {})


def build_start(stage: Stage, number: int) -> Start:
    """The trained head on the network, cut off at the layer whose features it was trained on.

    Args:
        stage: says which layers are trained.
        number: of the repeat, from 0: its seed draws the dropout, and its head is another one.
    """
    keras.utils.set_random_seed(stage["finetune.seed"] + number)
    backbone = load_model(stage.input("data/backbone/network.keras"))
    head = load_model(stage.input("data/models/head.keras"))
    if number:
        with np.load(stage.input("data/models/repeats.npz")) as heads:
            seed = stage["head.seed"] + number
            head.set_weights([heads[f"{seed}/{n}"] for n in range(len(head.weights))])
    depth = read_json(stage.input("data/depth/layer.json"))
    count = read_json(stage.input("data/depth/unfreeze.json"))["unfreeze"]
    if depth["start"]:  # the first column is that of the network's own last layer
        backbone = truncated(backbone, *(depth[key] for key in ("layer", "pooling", "prefix")))
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    counts = count_sizes(model, backbone, count, stage["backbone.weights"] != "none")
    return Start(model, cut_model(model, backbone, head), head, counts)


def train_from(
    stage: Stage, number: int, start: Start, data: TrainingData, units: np.ndarray
) -> tuple[Result, Step]:
    """Trains the tail, and leaves the model with the weights that validation allows.

    Args:
        stage: the parameters of the training.
        number: of the repeat, from 0: its seeds shuffle, and change images.
        start: what is trained.
        data: what it is trained on and judged by.
        units: int64 (n,), of the validation part.

    Returns:
        The calibrated outputs with the epochs, and how far the model went towards the weights of
        the best one.

    Raises:
        UserError: a loss is infinite or not a number.
    """
    model = start.halves.tail if data.stored else _on_pixels(start)
    seed = stage["finetune.seed"] + number
    batch, class_weight = stage["finetune.batch"], stage["finetune.class_weight"]
    parts = data.parts
    train = Batches(parts["train"], batch, seed, class_weight)
    valid = Batches(parts["valid"], batch, class_weight=class_weight)
    optimizer = two_rates(stage, start.head.trainable_variables, len(train))
    compile_model(model, optimizer, stage["finetune.label_smoothing"])
    before = model.get_weights()
    prepare, scratch = _preparation(stage, number, start, data), stage.scratch
    history = fit("finetune", stage, model, train, valid, scratch, f"seed-{seed}", prepare)
    labels = parts["valid"].labels
    learned = np.unique(parts["train"].labels)
    judges = Judges(valid, labels, weigh_images(labels, class_weight), units, learned)
    # Statistics of batches that were learned with the weights fit no others.
    steps = STEPS if stage["backbone.weights"] != "none" else (0.0, 1.0)
    step = take_step(model, before, model.get_weights(), judges, steps)
    scale_logits(start.head, step.scale)
    outputs = predict_rows(model, Batches(parts["test"], batch))()
    best = best_epoch(history, stage["finetune.monitor"]) if step.step else 0
    losses = step.tried.set_index("step")["val_loss"]
    said = f"a step of {step.step:g}, validation loss {losses[step.step]:.4f}"
    print(f"finetune: {said}; {losses[0.0]:.4f} of the head")
    return Result(seed, history, best, step.scale, step.outputs, outputs), step


def _on_pixels(start: Start) -> keras.Model:
    """The model that is trained, with its frozen part in front."""
    side, frozen = start.model.input_shape[1], start.halves.frozen
    inputs = keras.Input((side, side, 3), name="pixels")
    x = inputs if frozen is None else Frozen(frozen)(inputs)
    return keras.Model(inputs, start.halves.tail(x))


def _preparation(stage: Stage, number: int, start: Start, data: TrainingData) -> Preparation:
    """What is made of the pixels of a batch before its step: augmentation, the frozen part.

    Stored views have been augmented already.
    """
    settings = {**stage, "augment.seed": stage["augment.seed"] + number}
    augmenting = switched_on(stage) and not stage["augment.copies"]
    augmentation = StepAugmentation(settings, start.model.input_shape[1]) if augmenting else None

    def prepare(batches: Generator[Batch], first: int) -> Generator[Batch]:
        if augmentation is not None:
            batches = (
                (augmentation.at(step, pixels), *others)
                for step, (pixels, *others) in enumerate(batches, first)
            )
        return batches if data.frozen is None else frozen_outputs(data.frozen, batches)

    return prepare
