"""How long fine-tuning takes: graft beside `fit` of Keras on the whole model.

    uv run python -m benchmarks.finetuning [IMAGES] [EPOCHS] [ROUNDS]

Both train the last layers of a network with random weights on the same random pixels, with images
that stay the same or change in every epoch. Each side runs in a process of its own, in turns, and
all is counted from the network in memory to the outputs on the test part: tracing, the frozen part,
its conversion, the validation after each epoch; graft also chooses a step, and follows the training
in a file. Keras has its own settings: as many threads as there are cores, and kernels whose sums
may change from run to run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import Row, show_times
from benchmarks.projects import ROOT, Bench

CASES = {"MobileNetV2": (160, 30), "InceptionV3": (150, 31)}  # side, layers that are trained
CLASSES, BATCH, RATE = 5, 32, 1e-4
CHANGES = {"flip": "horizontal", "rotation": 10, "shift": 0.1, "zoom": 0.1}
NONE = {"flip": "none", "rotation": 0, "shift": 0, "zoom": 0, "brightness": 0, "contrast": 0}


def compare(bench: Bench, network: str, wanted: tuple[float, float]) -> Iterator[Row]:
    """The rows of the table: 10 epochs of 2,000 images.

    Args:
        bench: says how many rounds.
        network: one of CASES.
        wanted: the ratios for fixed views, and for new ones in each epoch.
    """
    side, layers = CASES[network]
    for anew, least in zip((False, True), wanted, strict=True):
        found = measure(network, anew, 2000, 10, bench.rounds)
        views = "new views in each epoch" if anew else "fixed views"
        yield Row(
            f"last {layers} layers of {network} at {side}, 10 epochs, 2,000 images, {views}",
            "the whole model in `fit`",
            found["ratio"],
            least,
            f"{show_times(found['graft_all'])}, {show_times(found['keras_all'])}",
        )


def measure(network: str, anew: bool, images: int, epochs: int, rounds: int = 3) -> dict[str, Any]:
    """Measures both sides in turns.

    Args:
        network: a class of `keras.applications`, one of CASES.
        anew: whether images change in every epoch.
        images: for training; a quarter as many more are for validation, and as many for testing.
        epochs: of each training.
        rounds: how often each side is measured.

    Returns:
        Medians in seconds of `keras` and `graft`, the lists of all as `keras_all` and `graft_all`,
        and the `ratio` of the medians, how many times faster graft is.
    """
    found: dict[str, list[float]] = {"keras": [], "graft": []}
    for _ in range(rounds):
        for side, times in found.items():
            case = json.dumps([network, anew, images, epochs])
            command = [sys.executable, "-m", "benchmarks.finetuning", side, case]
            shown = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
            if shown.returncode:
                raise RuntimeError(shown.stderr)
            times.append(float(shown.stdout.split()[-1]))
    medians = {side: statistics.median(times) for side, times in found.items()}
    every = {f"{side}_all": times for side, times in found.items()}
    return {**medians, **every, "ratio": medians["keras"] / medians["graft"]}


def draw(folder: Path, side: int, images: int) -> dict[str, tuple[Path, np.ndarray]]:
    """Random pixels of each part, stored: the file, uint8 (n, side, side, 3), and the labels."""
    generator = np.random.default_rng(1)
    parts = {}
    for name, count in {"train": images, "valid": images // 4, "test": images // 4}.items():
        path, labels = folder / f"{name}.npy", np.arange(count) % CLASSES
        np.save(path, generator.integers(0, 256, (count, side, side, 3), np.uint8))
        parts[name] = path, labels
    return parts


def by_keras(network: str, anew: bool, epochs: int, parts: Mapping[str, Any]) -> float:
    """The flow of the Keras guide on the whole model: seconds."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    side, count = CASES[network]
    pixels = {name: np.load(path) for name, (path, _) in parts.items()}
    body = build(keras, network, side)
    start = time.perf_counter()
    body.trainable = True
    for number, layer in enumerate(reversed(body.layers)):
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number < count and not norm
    x = inputs = keras.Input((side, side, 3))
    if anew:
        border = {"fill_mode": "nearest"}
        x = keras.layers.RandomFlip(CHANGES["flip"])(x)
        x = keras.layers.RandomRotation(CHANGES["rotation"] / 360, **border)(x)
        x = keras.layers.RandomTranslation(CHANGES["shift"], CHANGES["shift"], **border)(x)
        x = keras.layers.RandomZoom(CHANGES["zoom"], **border)(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    x = keras.layers.Dense(CLASSES, "softmax")(keras.layers.GlobalAveragePooling2D()(body(x)))
    model = keras.Model(inputs, x)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])
    train, valid = ((pixels[name], parts[name][1]) for name in ("train", "valid"))
    model.fit(*train, BATCH, epochs, verbose=0, validation_data=valid)
    model.predict(pixels["test"], BATCH, verbose=0)
    return time.perf_counter() - start


def by_graft(network: str, anew: bool, epochs: int, parts: Mapping[str, Any]) -> float:
    """The training of the stage `finetune`: seconds."""
    from graft.common.stage import Stage
    from graft.finetune.cut import cut_model
    from graft.finetune.finetune import Start, train_from
    from graft.finetune.freeze import count_sizes
    from graft.finetune.stored import Outputs, open_training_data
    from graft.models.framework import keras
    from graft.models.pooling import pool

    side, count = CASES[network]
    body = build(keras, network, side)
    pixels = keras.Input((side, side, 3), name="pixels")
    scaling = keras.layers.Rescaling(1 / 127.5, -1, name="scaling")
    backbone = keras.Model(pixels, pool(body(scaling(pixels)), "avg"), name="backbone")
    features = keras.Input(backbone.output_shape[1:])
    head = keras.Model(features, keras.layers.Dense(CLASSES, "softmax")(features), name="head")
    augment = NONE | (CHANGES if anew else {}) | {"copies": 0, "seed": 1}
    finetune = {
        **{"cut": "auto", "optimizer": "Adam", "learning_rate": RATE, "head_learning_rate": RATE},
        **{"warmup": 0, "weight_decay": 0.0, "label_smoothing": 0.0, "batch": BATCH},
        **{"epochs": epochs, "monitor": "val_loss", "patience": epochs, "class_weight": "none"},
        "seed": 1,
    }
    settings = {f"augment.{name}": value for name, value in augment.items()}
    settings |= {f"finetune.{name}": value for name, value in finetune.items()}
    settings["backbone.weights"] = "random"
    rows = {name: Outputs(*part) for name, part in parts.items()}
    stage = Stage("finetune", {}, settings, (), {}, Path("scratch"))
    began = time.perf_counter()
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    counts = count_sizes(model, backbone, count, True)
    start = Start(model, cut_model(model, backbone, head), head, counts)
    with open_training_data(stage, start.halves, rows) as data:
        train_from(stage, 0, start, data, np.arange(len(rows["valid"])))
    return time.perf_counter() - began


def build(keras: Any, network: str, side: int) -> Any:
    """A network with random weights, without its classifier."""
    make = getattr(keras.applications, network)
    return make(weights=None, include_top=False, input_shape=(side, side, 3), name="network")


def run_side(side: str, case: str) -> None:
    """Measures one side in a temporary folder and prints the seconds."""
    network, anew, images, epochs = json.loads(case)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("logs").mkdir()
        parts = draw(Path(folder), CASES[network][0], images)
        run = by_keras if side == "keras" else by_graft
        print(run(network, anew, epochs, parts))
        os.chdir("/")


def main() -> None:
    """Prints a line for each case."""
    if sys.argv[1:2] in (["keras"], ["graft"]):
        run_side(*sys.argv[1:])
        return
    given = [int(number) for number in sys.argv[1:]]
    images, epochs, rounds = given + [2000, 10, 3][len(given) :]
    print(f"{images:,} images, {epochs} epochs, medians of {rounds}")
    for network, (side, layers) in CASES.items():
        for anew in (False, True):
            found = measure(network, anew, images, epochs, rounds)
            pace = {name: images * epochs / found[name] for name in ("keras", "graft")}
            ranges = {
                name: "–".join(f"{edge(found[f'{name}_all']):.0f}" for edge in (min, max))
                for name in pace
            }
            print(
                f"{network} at {side}, last {layers} layers, "
                f"{'new views in each epoch' if anew else 'fixed views'}: "
                f"Keras {found['keras']:.0f} s ({ranges['keras']}), {pace['keras']:.0f} images/s; "
                f"graft {found['graft']:.0f} s ({ranges['graft']}), {pace['graft']:.0f} images/s; "
                f"{found['ratio']:.2f} times",
                flush=True,
            )


if __name__ == "__main__":
    main()
