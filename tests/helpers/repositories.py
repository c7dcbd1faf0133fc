"""Git repositories with what builds leave in them."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MODELS = ("head", "finetuned")
LABELS = [f"c{number % 10}" for number in range(300)]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def call_dvc(folder: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder, check=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def write_results(
    folder: Path,
    wrong: Sequence[int],
    seeds: Sequence[float] | None = None,
    images: int = 300,
    first: int = 0,
    parameters: Mapping[str, Any] | None = None,
    per_unit: int = 1,
    sure: float = 0.9,
    earlier: bool = False,
    split: str = "a hash",
) -> None:
    """What a build leaves for `compare`, the same for both models and both parts.

    Args:
        wrong: the numbers of the images that are classified wrong.
        seeds: accuracies of the seeds; without them there is no repeats.csv.
        images: how many there are in each part.
        first: the number of the first of them.
        parameters: the section `head` of params.yaml.
        per_unit: images that belong together, one after the other.
        sure: the probability of the predicted class.
        earlier: as graft built before it kept predictions on validation.
        split: what dvc.lock says of `data/split.csv`.
    """
    (folder / "params.yaml").write_text(json.dumps({"head": dict(parameters or {})}))
    deps = [{"path": "data/split.csv", "md5": split}]
    stages = {f"evaluate@{model}": {"deps": deps} for model in MODELS}
    (folder / "dvc.lock").write_text(json.dumps({"stages": stages}))
    rows, losses = [], []
    for number in range(first, first + images):
        label = LABELS[number % len(LABELS)]
        predicted, truth = ("other", 0.05) if number in wrong else (label, sure)
        row = f"{label}/{number}.png,{label},{predicted},{sure}"
        rows.append(row if earlier else f"{row},{truth},{number // per_unit}")
        losses.append(-math.log(truth))
    accuracy, loss = round(1 - len(wrong) / images, 6), round(sum(losses) / images, 6)
    for model in MODELS:
        reports = folder / "reports" / model
        reports.mkdir(parents=True, exist_ok=True)
        metrics = {"accuracy": accuracy, "log_loss": loss, "n": images}
        names = ["predictions"]
        if not earlier:
            metrics = {"valid_accuracy": accuracy, "valid_log_loss": loss} | metrics
            names.append("validation")
        (reports / "metrics.json").write_text(json.dumps(metrics))
        header = "path,label,predicted,confidence" + ("" if earlier else ",truth,unit")
        for name in names:
            (reports / f"{name}.csv").write_text("\n".join([header, *rows, ""]))
        if seeds is not None:
            # Another accuracy on each part, so that a mix-up shows.
            table = ["seed,epochs,val_loss,val_accuracy,accuracy,log_loss"]
            for seed, value in enumerate(seeds, 1):
                table.append(f"{seed},9,{1 - value},{value},{value - 0.01},{1.01 - value}")
            (reports / "repeats.csv").write_text("\n".join([*table, ""]))
