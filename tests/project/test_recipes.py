"""Recipes: what they say of themselves, the models that they make, and that they run."""

import re
import runpy
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cases import read_cases
from graft.common.tables import read_json
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import read_yaml, read_yaml_file
from graft.project.choices import divide, heal_corrections
from graft.project.launcher import run_stage
from graft.project.parameters import check_files, read_parameters
from graft.project.pipeline import declarations
from graft.project.recipes import DEFAULTS, RECIPES, compose_parameters, list_recipes
from images import ROOT, SHARDS, change, encoded, link_recipes, write

NAMES = list(list_recipes())
SHARED = ROOT.parent / "shared"
PHOTOS = SHARED / "data/sign-language-digits.zip"
WEIGHTS = SHARED / "weights/mobilenet_v2_imagenet_notop.weights.h5"


def composed(name: str) -> dict[str, Any]:
    """The parameters that `graft use` makes of a recipe, nested."""
    return read_yaml(compose_parameters(name, {}).encode())


def test_every_experiment_is_there() -> None:
    assert set(NAMES) >= {
        *("cats-dogs-inceptionv3", "cats-dogs-vgg16", "cats-dogs-xception", "cifar10-scratch"),
        *("fashion-cnn", "sign-digits-by-person", "sign-digits-mobilenetv2", "sign-digits-vgg16"),
        *("thirty-classes-cnn", "digits"),
    }


def test_the_main_job_is_the_recipe_digits() -> None:
    """`params.yaml` is written by `graft use digits`."""
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == compose_parameters("digits", {})


@pytest.mark.parametrize("name", NAMES)
class TestText:
    """A recipe says what it is, and only what differs."""

    def test_it_has_the_keys_that_differ(self, name: str) -> None:
        defaults = flatten(read_yaml_file(DEFAULTS))
        own = flatten(read_yaml_file(ROOT / RECIPES / f"{name}.yaml") or {})
        assert {key: value for key, value in own.items() if defaults[key] == value} == {}
        assert flatten(composed(name)) == defaults | own

    def test_it_opens_with_what_people_must_know(self, name: str) -> None:
        text = (ROOT / RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40
        head = "\n".join(line[2:] for line in text.splitlines() if line.startswith("#"))
        assert head.partition("\n")[0] == list_recipes()[name]
        said = dict(re.findall(r"^(\w+): +(.+(?:\n +.+)*)", head, flags=re.MULTILINE))
        assert {"Data", "Command", "Expect"} <= set(said)
        # The recipe for photos of one's own needs their path.
        use = f"uv run graft use {name}{' --images PATH' * (name == 'photos')}"
        assert said["Command"] == f"{use} && uv run snakemake --cores all"
        measured = re.search(r"\d\d\.\d %.*measured", said["Expect"], flags=re.DOTALL)
        assert measured or said["Expect"] == "not measured here."
        if composed(name)["backbone"]["weights"] == "imagenet":
            assert "Weights" in said
        for script in re.findall(r"workflow/scripts/\w+\.py", head):
            assert (ROOT / script).is_file()

    def test_the_readme_names_it(self, name: str) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        assert f"{RECIPES}/{name}.yaml" in readme or name == "digits"


def test_shares_give_the_published_numbers_of_images() -> None:
    """On average: chance divides them."""
    for name, expected in {
        "sign-digits-vgg16": (1712, 300, 50),
        "cats-dogs-inceptionv3": (3000, 1000, 1000),
        "cats-dogs-xception": (9305, 2326, 2326),
    }.items():
        values = composed(name)
        total = 2062 if name == "sign-digits-vgg16" else 2 * values["dataset"]["per_class"]
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
    Path("params.yaml").write_text(TEXTS[name], encoding="utf-8")
    shutil.copyfile(ROOT / "dvc.yaml", "dvc.yaml")
    link_recipes(Path())
    divide(SHARDS)
    Path("data/pretrained").mkdir(parents=True, exist_ok=True)
    change(Path(), {"dataset.path": "photos", **changes})
    heal_corrections()
    check_files(read_parameters())
    for stage in declarations(read_parameters()):
        run_stage(stage.command.split()[1:])
        assert all(path.is_file() for path in stage.outputs)


# They are read from the project's folder, which the tests leave.
TEXTS = {name: compose_parameters(name, {}) for name in NAMES}


def results(model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics and training of the head or the fine-tuned model, which have been checked."""
    folder = Path("reports") / model
    metrics, training = (read_json(folder / f"{kind}.json") for kind in ("metrics", "training"))
    assert metrics["n"] == read_json(Path("reports/split.json"))["test"] > 0
    assert 0 <= metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"] <= 1
    assert np.isfinite(metrics["log_loss"])
    history, repeats = (pd.read_csv(folder / f"{kind}.csv") for kind in ("history", "repeats"))
    assert len(history) == training["epochs"]
    assert repeats["accuracy"][0] == pytest.approx(metrics["accuracy"], abs=1e-6)
    return metrics, training


# Images, classes, images of each, side, parameters of the fine-tuned model, those unfrozen, and
# those of the head.
GENERATED = read_cases(__file__)["generated"]
MAKERS = {"photos": photos, "fashion": fashion}


@pytest.mark.parametrize("name", GENERATED)
def test_a_recipe_makes_the_published_model(name: str) -> None:
    """Parameters of the whole model, of those unfrozen, and of the head: no image is needed."""
    from graft.audit.unfreezing import count_unfrozen
    from graft.backbone.architectures import build_backbone
    from graft.finetune.freeze import count_sizes
    from graft.head.construction import dense_head
    from graft.models.framework import keras
    from graft.models.pooling import NETWORK
    from graft.models.stacks import VECTOR_KINDS, read_stack

    _, classes, _, side, parameters, unfrozen, own = GENERATED[name]
    flat = flatten(composed(name))
    backbone = build_backbone(flat | {"image.side": side, "backbone.weights": "none"})
    zeros = np.zeros(backbone.output_shape[1], np.float32)
    layers = read_stack(flat["head.stack"], VECTOR_KINDS)
    head = dense_head(zeros, zeros + 1, layers, flat["head.output"], classes)
    assert head.count_params() == own
    model = keras.Model(backbone.input, head(backbone.output))
    names = [layer.name for layer in backbone.get_layer(NETWORK).layers]
    count = count_unfrozen(flat["finetune.unfreeze"], names)
    counts = count_sizes(model, backbone, count, flat["backbone.weights"] != "none")
    assert (counts["parameters"], counts["unfrozen"]) == (parameters, unfrozen)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "fashion-cnn" else pytest.mark.slow) for n in GENERATED],
)
def test_a_recipe_runs_to_the_end(name: str, empty: Path) -> None:
    """From drawn weights on generated images of the right shape, an epoch each."""
    make, classes, count, side, parameters, unfrozen, own = GENERATED[name]
    MAKERS[make](Path("photos"), classes, count)
    once = {f"{stage}.epochs": 1 for stage in ("head", "finetune")}
    drawn = {"backbone.weights": "none", "finetune.warmup": 0}
    run(name, {"image.side": side, **drawn, **once})
    _, head = results("head")
    _, finetuned = results("finetuned")
    assert (head["parameters"], head["epochs"]) == (own, 1)
    assert (finetuned["parameters"], finetuned["unfrozen"]) == (parameters, unfrozen)
    assert finetuned["trained"] <= unfrozen
    assert (finetuned["chosen"] == "head") == (finetuned["best_epoch"] == 0)


def test_a_recipe_with_a_cut_runs_to_the_end(empty: Path) -> None:
    """The main job on photos, with changed copies and stored outputs of its lower layers."""
    photos(Path("photos"), 3, 9)
    few = {"augment.copies": 1, "finetune.epochs": 1, "head.epochs": 1, "finetune.warmup": 0}
    run("digits", {"finetune.unfreeze": 10, "backbone.weights": "none", **few})
    results("head")
    _, finetuned = results("finetuned")
    assert finetuned["cut"] == "widen_120"


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.exists(), reason="the photos of signs are not at ../shared")
@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights of MobileNetV2 are not at ../shared")
@pytest.mark.parametrize("name", ["sign-digits-mobilenetv2", "sign-digits-by-person"])
def test_a_recipe_of_the_sign_photos_learns(name: str, empty: Path) -> None:
    """From real weights, on the real photos of some persons."""
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
    split = read_json(Path("reports/split.json"))
    units = 20 if name == "sign-digits-by-person" else split["images"] - split["left_out"]
    assert split["groups"] <= units
