"""Made-up results of a run, of any number of classes and images: all that the page is made from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from scipy.special import softmax

from cases import read_cases
from graft.common.tables import write_json, write_table
from graft.statistics.measures import measure
from images import SHARDS

CASES = read_cases(__file__)  # what is the same in every run
MODELS = ("head", "finetuned")
FOLDERS = [f"data/{name}" for name in ("tensors", "checked", "duplicates", "models", "views")]
FOLDERS += [f"data/{name}" for name in ("predictions", "looks", "depth")]
FOLDERS += [f"reports/{model}" for model in MODELS]
_BLOCK = 2000  # images at once


def make_run(
    folder: Path,
    classes: Sequence[str],
    tests: int,
    side: int = 32,
    wrong: float = 0.1,
    photos: Sequence[np.ndarray] = (),
    seed: int = 1,
    paths: Sequence[str] = (),
) -> None:
    """Writes what the stage `report` reads, as a run would have left it.

    Classes are alike in fours, and are mistaken for each other most within these.

    Args:
        folder: a workspace.
        classes: their names, in natural order.
        tests: images of the test part; each class has one or more where there are enough.
        side: of the images in pixels.
        wrong: share of the test images that the fine-tuned model gets wrong; the head has more.
        photos: uint8 (height, width, 3), from which images are cut; noise without them.
        seed: of everything that is drawn.
        paths: of the first test images.
    """
    generator = np.random.default_rng(seed)
    n, labels = len(classes), np.arange(tests) % len(classes)
    valid = max(tests // 4, n)
    parts = {"train": np.arange(2 * n) % n, "valid": np.arange(valid) % n, "test": labels}
    images = pd.DataFrame(
        [
            (f"{part}{i:06}", f"photos/{part}/{i:06}.jpg", classes[label], part)
            for part, own in parts.items()
            for i, label in enumerate(own)
        ],
        columns=["id", "path", "label", "part"],
    )
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    first = images.index[images["part"] == "test"][: len(paths)]
    images.loc[first, "path"] = list(paths)
    _write_data(folder, images, side, photos, generator)
    _write_audit(folder, images, classes)
    for model, share in zip(MODELS, (1.6 * wrong, wrong), strict=True):
        _write_model(folder, model, images, parts, classes, share, generator)
    _write_training(folder)
    _write_doubts(folder, images, classes, generator)


def _write_data(
    folder: Path,
    images: pd.DataFrame,
    side: int,
    photos: Sequence[np.ndarray],
    generator: np.random.Generator,
) -> None:
    write_table(folder / "data/split.csv", images)
    for model in MODELS:
        (folder / f"data/models/{model}.keras").write_text(model, encoding="utf-8")
    for shard in range(SHARDS):
        own = images.iloc[shard::SHARDS]
        checked = own[["id"]].assign(status="ok", reason="", width=640, height=427, phash="")
        write_table(folder / f"data/checked/{shard}.csv", checked)
        shape = (len(own), side, side, 3)
        pixels = open_memmap(folder / f"data/tensors/{shard}.npy", "w+", np.uint8, shape)
        for i in range(len(own)):
            pixels[i] = _cut(photos, side, generator)
        pixels.flush()
        del pixels


def _cut(photos: Sequence[np.ndarray], side: int, generator: np.random.Generator) -> np.ndarray:
    if not len(photos):
        return generator.integers(0, 256, (side, side, 3), np.uint8)
    photo = photos[generator.integers(len(photos))]
    top, left = (int(generator.integers(0, length - side + 1)) for length in photo.shape[:2])
    return photo[top : top + side, left : left + side]


def _write_audit(folder: Path, images: pd.DataFrame, classes: Sequence[str]) -> None:
    counts = pd.crosstab(images["label"], images["part"]).reindex(classes)
    shares = counts.div(counts.sum(axis=1), axis=0)
    rows = [
        (name, part, n, f"{shares.at[name, part]:.6f}", n)
        for name in classes
        for part, n in counts.loc[name, ["train", "valid", "test"]].items()
    ]
    columns = ["label", "part", "images", "share", "groups"]
    write_table(folder / "data/parts.csv", pd.DataFrame(rows, columns=columns))
    np.save(folder / "data/duplicates/pairs.npy", np.zeros((0, 2, 32, 32, 3), np.uint8))
    np.save(folder / "data/views/samples.npy", np.zeros((0, 1, 32, 32, 3), np.uint8))
    n = len(images)
    leaks = dict.fromkeys((f"{what}_in_two_parts" for what in ("ids", "clusters", "groups")), 0)
    found = {"images": n, "groups": n, "clusters": 0, "duplicates": 0}
    write_json(folder / "reports/split.json", found | leaks)


def _write_model(
    folder: Path,
    model: str,
    images: pd.DataFrame,
    parts: dict[str, np.ndarray],
    classes: Sequence[str],
    wrong: float,
    generator: np.random.Generator,
) -> None:
    n, valid, test = len(classes), parts["valid"], parts["test"]
    path = folder / f"data/predictions/{model}.npy"
    labels = np.concatenate([valid, test])
    stored = open_memmap(path, "w+", np.float32, (len(labels), n))
    for start in range(0, len(labels), _BLOCK):
        own = labels[start : start + _BLOCK]
        stored[start : start + _BLOCK] = _answer(own, n, wrong, generator)
    stored.flush()
    tested = stored[len(valid) :]
    predicted, confidence = tested.argmax(1), tested.max(1)
    mine = images[images["part"] == "test"]
    truth = tested[np.arange(len(test)), test].astype(float).round(6)
    table = pd.DataFrame({"path": mine["path"].to_numpy()})
    table["label"] = [classes[i] for i in test]
    table["predicted"] = [classes[i] for i in predicted]
    table["confidence"] = confidence.astype(float).round(6)
    table = table.assign(truth=truth, unit=np.arange(len(test)))
    write_table(folder / f"reports/{model}/predictions.csv", table)
    write_json(folder / f"reports/{model}/metrics.json", _measure(tested, test))
    rows = np.flatnonzero(predicted != test)[: 1000 if model == "finetuned" else 0]
    maps = generator.integers(0, 256, (len(rows), 5, 5), np.uint8)
    np.savez(folder / f"data/looks/{model}.npz", rows=rows, maps=maps)


def _answer(labels: np.ndarray, n: int, wrong: float, generator: np.random.Generator) -> np.ndarray:
    """Probabilities, float32 (len(labels), n), of which about the share `wrong` is mistaken."""
    rows = np.arange(len(labels))
    logits = generator.normal(0, 1, (len(labels), n)).astype(np.float32)
    # Its neighbour in a group of four, or any other class.
    near = np.minimum(labels // 4 * 4 + generator.integers(0, 4, len(labels)), n - 1)
    alike, any_other = generator.random(len(labels)) < 0.8, generator.integers(0, n, len(labels))
    other = np.where(alike, near, any_other)
    other = np.where(other == labels, (labels + 1) % n, other)
    missed = generator.random(len(labels)) < wrong
    base = np.log(n) + 2
    logits[rows, other] += base + generator.normal(0, 1, len(labels)) - 1
    logits[rows, labels] += base + 4 * generator.random(len(labels))
    answers = np.where(missed, other, labels)
    logits[rows, answers] = logits.max(1) + 3 * generator.random(len(labels)).astype(np.float32)
    return softmax(logits, 1)


def _measure(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    few = slice(None) if len(labels) * probabilities.shape[1] < 2_000_000 else slice(2000)
    metrics = measure(np.asarray(probabilities[few]), labels[few], np.arange(len(labels[few])))
    right = float((probabilities.argmax(1) == labels).mean())
    metrics |= {"accuracy": right, "n": len(labels), "units": len(labels)}
    metrics |= {"accuracy_low": max(right - 0.02, 0), "accuracy_high": min(right + 0.01, 1)}
    metrics |= {"n_effective": float(len(labels)), "valid_accuracy": right}
    if probabilities.shape[1] == 2:
        metrics |= CASES["two_classes"] | {"threshold_accuracy": right}
    return metrics | CASES["metrics"]


def _write_training(folder: Path) -> None:
    for model in MODELS:
        epochs = np.arange(1, 21)
        noise = np.random.default_rng(3).normal(0, 0.02, (4, 20))
        history = pd.DataFrame(
            {
                "epoch": epochs,
                "loss": 1.2 * np.exp(-epochs / 6) + 0.1 + noise[0],
                "accuracy": 0.95 - 0.4 * np.exp(-epochs / 5) + noise[1] / 2,
                "val_loss": 1.1 * np.exp(-epochs / 5) + 0.25 + noise[2],
                "val_accuracy": 0.92 - 0.35 * np.exp(-epochs / 4) + noise[3] / 2,
            }
        ).round(6)
        write_table(folder / f"reports/{model}/history.csv", history)
    for path, table in CASES["tables"].items():
        write_table(folder / path, pd.DataFrame(table["rows"], columns=table["columns"]))
    for path, values in CASES["values"].items():
        write_json(folder / path, values)


def _write_doubts(
    folder: Path, images: pd.DataFrame, classes: Sequence[str], generator: np.random.Generator
) -> None:
    doubtful = images.iloc[generator.permutation(len(images))[:200]]
    looks = [classes[i] for i in generator.integers(0, len(classes), len(doubtful))]
    table = doubtful[["path", "part", "label"]].assign(looks_like=looks)
    table = table[table["label"] != table["looks_like"]]
    table = table.assign(confidence=0.9, self_confidence=0.01, wrong=0.9, likely="yes")
    write_table(folder / "reports/label_errors.csv", table)
    n = len(images)
    found = {
        "n": n,
        "units": n,
        "label_errors": len(table),
        "label_errors_true": 0.9 * len(table),
        "test_units": n,
    }
    write_json(folder / "reports/cross_validation.json", CASES["crossed"] | found)
