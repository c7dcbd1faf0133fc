"""What fine-tuning adds to the head, on data sets of different kinds and sizes.

    uv run python benchmarks/defaults.py SOURCES TARGET [--only NAME …] [--set KEY=VALUE …]

SOURCES is a folder with those of `flowers-1000.zip`, `sign-language-digits.zip`, `cifar10.tar.xz`
and MobileNetV2's `mobilenet_v2_imagenet_notop.weights.h5` that there are. Sets that need another
one are passed over; two are made on the spot. For each set the stages up to the features run once.
For each seed the images are divided anew, head and fine-tuned model are trained, and both are
measured on the test part, with every step between the two. TARGET gets a line of JSON for each set
and seed, and can be continued. In the end a table of all its lines is printed.
"""

import argparse
import json
import os
import shutil
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from PIL import Image, ImageFilter

from graft.finetune import finetune
from graft.finetune.line import blend_weights
from graft.integrity.yaml12 import read_yaml
from graft.judging.losses import cross_entropies
from graft.project.choices import heal_corrections
from graft.project.launcher import run_stage
from graft.project.pipeline import stage_keys
from graft.statistics.significance import paired_interval
from graft.training.batches import Batches

ROOT = Path(__file__).parent.parent
WEIGHTS = "mobilenet_v2_imagenet_notop.weights.h5"
FLOWERS, SIGNS, CIFAR = "flowers-1000.zip", "sign-language-digits.zip", "cifar10.tar.xz"
MOBILENET = {
    "backbone.name": "MobileNetV2",
    "backbone.weights": f"data/pretrained/{WEIGHTS}",
    "head.kind": "logistic",
    "image.fit": "crop",
}


class DataSet(NamedTuple):
    """A data set, and how it is learned from.

    Attributes:
        gather: puts the images at `data/raw/set` here, given the folder of sources.
        sources: the files that it needs.
        settings: parameters that differ from the defaults, by dotted key.
        aside: whether it was kept aside: no default was chosen on it.
    """

    gather: Callable[[Path], None]
    sources: tuple[str, ...]
    settings: Mapping[str, Any]
    aside: bool = False


def take(archive: str, count: int, rare: int, sources: Path) -> None:
    """Takes some images of each class of an archive of class folders.

    Args:
        archive: its name.
        count: images of a class at most; 0 takes all.
        rare: the same for every second class.
        sources: where it is.
    """
    with zipfile.ZipFile(sources / archive) as file:
        members: dict[str, list[str]] = {}
        for name in sorted(file.namelist()):
            if name.lower().endswith((".jpg", ".jpeg", ".png")):
                members.setdefault(Path(name).parent.name, []).append(name)
        for number, (label, names) in enumerate(sorted(members.items())):
            order = np.random.default_rng(number).permutation(len(names))
            most = (rare if number % 2 and rare else count) or len(names)
            folder = Path("data/raw/set") / label
            folder.mkdir(parents=True)
            for place in order[:most]:
                target = folder / Path(names[place]).name
                target.write_bytes(file.read(names[place]))


def take_cifar(classes: tuple[str, ...], count: int, sources: Path) -> None:
    """Takes images of some classes of CIFAR-10, as class folders of .png."""
    with tarfile.open(sources / CIFAR) as archive:
        for member in archive:
            label = Path(member.name).parent.name
            if not member.isfile() or (classes and label not in classes):
                continue
            folder = Path("data/raw/set") / label
            folder.mkdir(parents=True, exist_ok=True)
            if len(list(folder.iterdir())) < count:
                name = "-".join(Path(member.name).parts[::2])
                (folder / name).write_bytes(archive.extractfile(member).read())


def draw_camera(sources: Path) -> None:
    """Draws parts under a fixed camera, half of them with a scratch: 2 × 150 pictures."""
    generator = np.random.default_rng(1)
    for number in range(300):
        scratched = number % 2
        y, x = np.mgrid[:160, :160]
        picture = 120 + 40 * np.sin(x / 17) + 30 * ((y - 80) ** 2 + (x - 80) ** 2 < 55**2)
        picture = picture + generator.normal(0, 8, picture.shape) + generator.uniform(-15, 15)
        if scratched:
            angle, middle = generator.uniform(0, np.pi), generator.uniform(45, 115, 2)
            along = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
            beside = (x - middle[0]) * np.sin(angle) - (y - middle[1]) * np.cos(angle)
            picture = picture - 15 * ((abs(along) < 14) & (abs(beside) < 1.3))
        folder = Path("data/raw/set") / ("scratch" if scratched else "good")
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8)).convert("RGB")
        image.save(folder / f"{number:03}.png")


def draw_texture(sources: Path) -> None:
    """Draws six textures that differ in grain and direction: 6 × 80 pictures."""
    generator = np.random.default_rng(2)
    for number in range(480):
        kind = number % 6
        noise = generator.integers(0, 256, (160, 160)).astype(np.uint8)
        image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur((2, 3, 4.5)[kind % 3]))
        values = np.asarray(image, float)
        if kind > 2:
            values = (values + np.roll(values, 4, 1) + np.roll(values, 8, 1)) / 3
        values = 128 + 45 * (values - values.mean()) / values.std() + generator.uniform(-30, 30)
        folder = Path(f"data/raw/set/kind{kind}")
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
        image.save(folder / f"{number:03}.png")


def copy_digits(sources: Path) -> None:
    """Copies the handwritten digits of the project."""
    shutil.unpack_archive(ROOT / "data/raw/digits.zip", "data/raw/set")


SETS = {
    "digits": DataSet(copy_digits, (), {"finetune.epochs": 12}),
    "flowers": DataSet(
        partial(take, FLOWERS, 0, 0), (FLOWERS, WEIGHTS), {**MOBILENET, "image.side": 128}
    ),
    "flowers, 12 a class": DataSet(
        partial(take, FLOWERS, 12, 0), (FLOWERS, WEIGHTS), {**MOBILENET, "image.side": 128}, True
    ),
    "flowers, imbalanced": DataSet(
        partial(take, FLOWERS, 150, 15), (FLOWERS, WEIGHTS), {**MOBILENET, "image.side": 128}, True
    ),
    "signs": DataSet(partial(take, SIGNS, 0, 0), (SIGNS, WEIGHTS), {**MOBILENET, "image.side": 96}),
    "signs, 30 a class": DataSet(
        partial(take, SIGNS, 30, 0), (SIGNS, WEIGHTS), {**MOBILENET, "image.side": 96}, True
    ),
    "cats and dogs, 2 × 300": DataSet(
        partial(take_cifar, ("cat", "dog"), 300), (CIFAR, WEIGHTS), {**MOBILENET, "image.side": 96}
    ),
    "CIFAR-10, 2,000": DataSet(
        partial(take_cifar, (), 200), (CIFAR, WEIGHTS), {**MOBILENET, "image.side": 96}, True
    ),
    "camera": DataSet(draw_camera, (WEIGHTS,), {**MOBILENET, "image.side": 160}),
    "texture": DataSet(draw_texture, (WEIGHTS,), {**MOBILENET, "image.side": 96}, True),
}


class Observed:
    """Takes the place of `take_step`, and measures the test part at each step, too."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._take, self._train = finetune.take_step, finetune.train_from
        finetune.take_step, finetune.train_from = self.take, self.train

    def train(self, stage, number, start, data, *more):
        self._test = data.parts["test"]
        return self._train(stage, number, start, data, *more)

    def take(self, model, start, trained, judges, steps):
        self.rows = []
        for step in steps:
            model.set_weights(blend_weights(start, trained, step))
            outputs = model.predict(Batches(self._test, 64), verbose=0)
            right = outputs.argmax(1) == self._test.labels
            loss = cross_entropies(outputs, self._test.labels).mean()
            self.rows.append({"step": step, "accuracy": right.mean(), "log_loss": loss})
        return self._take(model, start, trained, judges, steps)


def write_parameters(changes: Mapping[str, Any]) -> None:
    """Writes params.yaml here: the defaults with some changes, by dotted key."""
    values = read_yaml((ROOT / "workflow/defaults.yaml").read_bytes())
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def measure_set(
    name: str, sources: Path, changes: Mapping[str, Any], seeds: list[int], target: Path
) -> None:
    """Appends a line for each seed to a file."""
    chosen = SETS[name]
    settings = {"dataset.path": "data/raw/set", **chosen.settings, **changes}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("workflow").symlink_to(ROOT / "workflow")
        shutil.copyfile(ROOT / "dvc.yaml", "dvc.yaml")
        shutil.copytree(ROOT / "data/pretrained", "data/pretrained")
        if WEIGHTS in chosen.sources:
            shutil.copyfile(sources / WEIGHTS, f"data/pretrained/{WEIGHTS}")
        chosen.gather(sources)
        shards = stage_keys("tensors")
        write_parameters(settings)
        heal_corrections()
        run_stage(["manifest", "--shards", str(len(shards))])
        for shard in shards:
            run_stage(["tensors", shard])
        run_stage(["duplicates"])
        run_stage(["backbone"])
        for shard in shards:
            run_stage(["features", shard])
        for seed in seeds:
            own = {f"{section}.seed": seed for section in ("split", "head", "finetune", "augment")}
            write_parameters({**settings, **own})
            observed, start = Observed(), time.monotonic()
            for stage in ("split", "views", "depth", "head", "finetune"):
                run_stage([stage])
            seconds = time.monotonic() - start
            for model in ("head", "finetuned"):
                run_stage(["evaluate", model])
            finetune.take_step, finetune.train_from = observed._take, observed._train
            line = {"set": name, "seed": seed, "changes": dict(changes), "seconds": seconds}
            line |= summarise() | {"steps": observed.rows}
            with target.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, default=float) + "\n")
        os.chdir(ROOT)


def summarise() -> dict[str, Any]:
    """What one seed gave: both models on the test part, and images that only one has right."""
    found: dict[str, Any] = {}
    right = {}
    for model in ("head", "finetuned"):
        metrics = json.loads(Path(f"reports/{model}/metrics.json").read_text())
        found[model] = {key: metrics[key] for key in ("accuracy", "log_loss", "ece", "n")}
        table = pd.read_csv(f"reports/{model}/predictions.csv", dtype=str, keep_default_na=False)
        right[model] = table["label"] == table["predicted"]
    training = json.loads(Path("reports/finetuned/training.json").read_text())
    found["step"] = training["step"]
    found["lost"] = int((right["head"] & ~right["finetuned"]).sum())
    found["won"] = int((~right["head"] & right["finetuned"]).sum())
    return found


def tabulate(lines: list[dict[str, Any]]) -> str:
    """The table in Markdown: a row for each set and setting."""
    rows = [
        "| Set | settings | seeds | test images | head | chosen | trained to the end | log loss of"
        " head, chosen | steps | below by more than the interval | seconds a seed |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        shown = ", ".join(f"{key} {value}" for key, value in line["changes"].items())
        groups.setdefault((line["set"], shown), []).append(line)
    for (name, shown), own in groups.items():
        head, chosen = (
            {key: np.mean([line[model][key] for line in own]) for key in ("accuracy", "log_loss")}
            for model in ("head", "finetuned")
        )
        last = [line["steps"][-1]["accuracy"] for line in own if line["steps"]]
        end = f"{100 * np.mean(last):.1f}" if last else "–"
        steps = ", ".join(f"{line['step']:g}" for line in own)
        below = sum(
            paired_interval(line["lost"], line["won"], line["head"]["n"])[1] < 0 for line in own
        )
        rows.append(
            f"| {name}{' (kept aside)' if SETS[name].aside else ''} | {shown or 'defaults'}"
            f" | {len(own)} | {own[0]['head']['n']} | {100 * head['accuracy']:.1f}"
            f" | {100 * chosen['accuracy']:.1f} | {end} | {head['log_loss']:.3f},"
            f" {chosen['log_loss']:.3f} | {steps}"
            f" | {below} | {np.mean([line['seconds'] for line in own]):.0f} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measures what is not in the file yet, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", type=lambda text: Path(text).resolve())
    parser.add_argument("target", type=lambda text: Path(text).resolve())
    parser.add_argument("--only", action="append", choices=SETS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    changes = {
        key: yaml.safe_load(value)
        for key, _, value in (text.partition("=") for text in options.set)
    }
    known = options.target.read_text(encoding="utf-8") if options.target.exists() else ""
    lines = [json.loads(line) for line in known.splitlines()]
    done = {(line["set"], line["seed"]) for line in lines if line["changes"] == changes}
    for name in options.only or SETS:
        lacking = [
            source for source in SETS[name].sources if not (options.sources / source).exists()
        ]
        seeds = [seed for seed in range(1, 1 + options.seeds) if (name, seed) not in done]
        if lacking:
            print(f"{name}: passed over, since there is no {', '.join(lacking)}")
        elif seeds:
            measure_set(name, options.sources, changes, seeds, options.target)
    text = options.target.read_text(encoding="utf-8")
    print(tabulate([json.loads(line) for line in text.splitlines()]))


if __name__ == "__main__":
    main()
