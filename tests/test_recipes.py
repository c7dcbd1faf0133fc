"""Recipes: what they say of themselves, and that each runs through all stages."""

import importlib
import json
import re
import runpy
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from graft.project import parameters
from graft.project import pipeline as declared
from images import ROOT, change, encoded, write

RECIPES = {path.stem: path for path in sorted((ROOT / "workflow/recipes").glob("*.yaml"))}
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "data/sign-language-digits.zip"
WEIGHTS = SHARED / "weights/mobilenet_v2_imagenet_notop.weights.h5"


def divided(name: str) -> tuple[str, str]:
    """What a recipe opens with, without its #, and the rest."""
    head, _, rest = RECIPES[name].read_text(encoding="utf-8").partition("\n\n")
    assert all(line.startswith("#") for line in head.splitlines())
    return "\n".join(line[1:].removeprefix(" ") for line in head.splitlines()), rest


def frame(text: str) -> list[tuple[str, str]]:
    """Each line without its value: its key with what stands before, and its comment."""
    found = []
    for line in text.splitlines():
        key, _, comment = line.partition("#")
        found.append((re.sub(r"(:).*|\s+$", r"\1", key), comment))
    return found


def test_every_experiment_is_there() -> None:
    assert set(RECIPES) == {
        *("cats-dogs-inceptionv3", "cats-dogs-vgg16", "cats-dogs-xception", "cifar10-scratch"),
        *("fashion-cnn", "sign-digits-by-person", "sign-digits-mobilenetv2", "sign-digits-vgg16"),
        "thirty-classes-cnn",
    }


@pytest.mark.parametrize("name", RECIPES)
class TestText:
    """A recipe is a params.yaml that says what it is."""

    def test_it_can_be_read(self, name: str) -> None:
        parameters.read(RECIPES[name])

    def test_it_has_the_lines_of_params_yaml_in_their_order(self, name: str) -> None:
        text = (ROOT / "params.yaml").read_text(encoding="utf-8")
        assert frame(divided(name)[1]) == frame(text[text.index("dataset:") :])

    def test_it_opens_with_what_people_must_know(self, name: str) -> None:
        head = divided(name)[0]
        assert head.startswith("Reproduces ")
        said = dict(re.findall(r"^(\w+): +(.+(?:\n +.+)*)", head, flags=re.MULTILINE))
        assert {"Data", "Command", "Expect"} <= set(said)
        command = f"cp workflow/recipes/{name}.yaml params.yaml && uv run snakemake --cores all"
        assert said["Command"].startswith(command)
        measured = re.search(r"\d\d\.\d %.*measured", said["Expect"], flags=re.DOTALL)
        assert measured or said["Expect"] == "not measured here."
        if parameters.read(RECIPES[name])["backbone"]["weights"] == "imagenet":
            assert "Weights" in said
        for script in re.findall(r"workflow/scripts/\w+\.py", head):
            assert (ROOT / script).is_file()


def test_shares_give_the_published_numbers_of_images() -> None:
    """On average: chance divides them."""
    for name, images, expected in [
        ("sign-digits-vgg16", 2062, (1712, 300, 50)),
        ("cats-dogs-inceptionv3", None, (3000, 1000, 1000)),
        ("cats-dogs-xception", None, (9305, 2326, 2326)),
    ]:
        values = parameters.read(RECIPES[name])
        total = images or 2 * values["dataset"]["per_class"]
        shares = [values["split"][part] for part in ("train", "valid", "test")]
        assert [round(total * share) for share in shares] == pytest.approx(expected, abs=1)


def photos(folder: Path, classes: int, count: int) -> None:
    """Class folders of photos of random sizes, each with the colours of its class and noise."""
    for label in range(classes):
        generator = np.random.default_rng(label)
        low = generator.integers(0, 160, 3)
        for number in range(count):
            shape = (*generator.integers(40, 200, 2), 3)
            pixels = (low + generator.integers(0, 96, shape)).astype(np.uint8)
            write(folder, {f"class {label}/{number}.png": encoded(pixels)})


def fashion(folder: Path, classes: int, count: int) -> None:
    """Small grey pictures that come divided."""
    for part in ("train", "test"):
        for label in range(classes):
            generator = np.random.default_rng([label, len(part)])
            for number in range(count):
                pixels = generator.integers(0, 25 * (label + 1), (28, 28)).astype(np.uint8)
                write(folder, {f"{part}/class {label}/{number}.png": encoded(pixels)})


def signs(folder: Path, count: int) -> None:
    """The real photos of so many persons, about ten of each, and who is on each."""
    script = runpy.run_path(str(ROOT / "workflow/scripts/sign_persons.py"))
    with zipfile.ZipFile(PHOTOS) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist() if ".JPG" in name}
        shown = [path for path, person in script["persons"](names).items() if person <= count]
        write(folder, {path: archive.read(names[path]) for path in shown})
    script["write"](folder)


def run(name: str, changes: dict[str, Any]) -> None:
    """Runs every stage of a recipe here, on the folder `photos`, in this process."""
    for source, copy in ((RECIPES[name], "params.yaml"), (ROOT / "dvc.yaml", "dvc.yaml")):
        shutil.copyfile(source, copy)
    Path("data/pretrained").mkdir(parents=True, exist_ok=True)
    change(Path(), {"dataset.path": "photos", **changes})
    parameters.check_files(parameters.read())
    for address in declared.addresses():
        stage, _, key = address.partition("@")
        arguments = ["--shards", "4"] if stage == "manifest" else [key] if key else []
        importlib.import_module(f"graft.{stage}").main(arguments)
    for address in declared.addresses():
        for paths in declared.declaration(address, parameters.read()).outputs.values():
            assert all(path.is_file() for path in paths)


def results(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics and training of the head or the fine-tuned model, which have been checked."""
    folder = Path("reports") / model
    metrics, training = (
        json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
        for kind in ("metrics", "training")
    )
    split = json.loads(Path("reports/split.json").read_text(encoding="utf-8"))
    assert metrics["n"] == split["test"] > 0
    assert 0 <= metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"] <= 1
    assert np.isfinite(metrics["log_loss"])
    history, repeats = (pd.read_csv(folder / f"{kind}.csv") for kind in ("history", "repeats"))
    assert len(history) == training["epochs"]
    assert repeats["accuracy"][0] == pytest.approx(metrics["accuracy"], abs=1e-6)
    return metrics, training


# Classes, photos of each, side, parameters of the fine-tuned model, those unfrozen, and those of
# the head. They are as published, or counted by hand from the sizes of the layers. Large networks
# see smaller images than in their recipes, which changes nothing but the map that VGG16 flattens.
GENERATED: dict[str, tuple[Callable[[Path, int, int], None], int, int, int, int, int, int]] = {
    "cats-dogs-inceptionv3": (photos, 2, 9, 80, 21_806_882, 6_077_634, 4_098),
    "cats-dogs-xception": (photos, 2, 9, 80, 20_863_529, 20_809_001, 2_049),
    "cats-dogs-vgg16": (photos, 2, 9, 64, 14_714_688 + 131_522, 131_394, 131_522),
    "sign-digits-vgg16": (photos, 10, 3, 64, 14_714_688 + 5_130, 7_079_424 + 5_130, 5_130),
    "fashion-cnn": (fashion, 10, 6, 28, 19_392 + 402_826, 19_392 + 402_826, 402_826),
    "thirty-classes-cnn": (photos, 30, 4, 64, 390_336 + 74_526, 389_376 + 74_014, 74_526),
    "cifar10-scratch": (fashion, 10, 6, 32, 442_368 + 1_210, 441_072 + 1_210, 1_210),
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_recipe_runs_to_the_end(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From drawn weights on generated images of the right shape, an epoch each."""
    make, classes, count, side, parameters_, unfrozen, own = GENERATED[name]
    monkeypatch.chdir(tmp_path)
    make(Path("photos"), classes, count)
    once = {f"{stage}.epochs": 1 for stage in ("head", "finetune")}
    small = {"image.side": side, "backbone.weights": "none", "finetune.warmup": 0}
    # With more than an epoch it would pay by itself to run the frozen layers once.
    cut = {"finetune.cut": "always"} if name == "cats-dogs-inceptionv3" else {}
    run(name, {**small, **once, **cut})
    _, head = results("head")
    _, finetuned = results("finetuned")
    assert (head["parameters"], head["epochs"]) == (own, 1)
    assert finetuned["parameters"] == parameters_
    assert finetuned["unfrozen"] == unfrozen
    assert finetuned["trained"] <= unfrozen
    assert finetuned["cut"] == ("mixed9" if cut else finetuned["cut"])
    assert (finetuned["chosen"] == "head") == (finetuned["best_epoch"] == 0)


@pytest.mark.skipif(not PHOTOS.exists(), reason="the photos of signs are not at ../shared")
@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights of MobileNetV2 are not at ../shared")
@pytest.mark.parametrize("name", ["sign-digits-mobilenetv2", "sign-digits-by-person"])
def test_a_recipe_of_the_sign_photos_learns(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From real weights, on the real photos of some persons."""
    monkeypatch.chdir(tmp_path)
    signs(Path("photos"), 20)
    weights = Path("data/pretrained") / WEIGHTS.name
    weights.parent.mkdir(parents=True)
    shutil.copyfile(WEIGHTS, weights)
    few = {"augment.copies": 1, "head.repeats": 1, "finetune.repeats": 1, "finetune.cut": "always"}
    run(name, {"backbone.weights": str(weights), **few})
    head, _ = results("head")
    finetuned, _ = results("finetuned")
    assert head["accuracy"] > 0.6
    assert finetuned["accuracy"] >= head["accuracy_low"]
    split = json.loads(Path("reports/split.json").read_text(encoding="utf-8"))
    units = 20 if name == "sign-digits-by-person" else split["images"] - split["left_out"]
    assert split["groups"] <= units
