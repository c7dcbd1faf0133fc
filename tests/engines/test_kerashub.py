"""Networks of KerasHub through the whole pipeline: a preset in a folder, by the commands."""

import json
import sys

import pandas as pd
import pytest

pytest.importorskip("keras_hub", reason="KerasHub is not installed: uv sync --extra hub")

import project
from presets import FAMILIES, save_preset
from project import Project

CHANGES = project.TINY | {"backbone.name": "hub/mine", "backbone.weights": "preset"}
CHANGES |= {"image.side": 64}
# What is fine-tuned of a family: one has a layer of Keras for each part of a block, the other a
# layer of KerasHub for each block.
UNFREEZE = {"ViT": "transformer_block_3", "SigLIP": "auto"}
# Norms, attention, two dense layers and the last norm, by the widths of `presets`, and the head.
TRAINED = 2 * 2 * 24 + 4 * (24 * 24 + 24) + (24 + 1) * 48 + (48 + 1) * 24 + 2 * 24 + (24 + 1) * 3


@pytest.fixture(scope="module", params=UNFREEZE)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    family = request.param
    changes = {"backbone.pooling": FAMILIES[family][1], "finetune.unfreeze": UNFREEZE[family]}
    made = project.make(tmp_path_factory.mktemp(family) / "project", CHANGES | changes)
    save_preset(family, made.folder / "data/pretrained/mine")
    made.snakemake()
    return made


def read(made: Project, path: str) -> dict:
    return json.loads((made.folder / path).read_text(encoding="utf-8"))


def test_its_last_block_is_trained_or_its_depths_are_measured(built: Project) -> None:
    said, depths = (
        read(built, "reports/finetuned/training.json"),
        read(built, "data/depth/layer.json"),
    )
    scores = pd.read_csv(built.folder / "data/depth/scores.csv")
    if depths["prefix"]:
        assert said["trained"] == said["unfrozen"] == TRAINED and scores.empty
    else:
        assert len(scores) > 1 and said["trained"] > 0
    versions = (built.folder / "workflow/libraries.yaml").read_text(encoding="utf-8")
    assert "keras-hub 0." in versions


def test_the_same_bytes_come_again(built: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built.folder)  # where its parameters look for the preset
    before = built.outputs()
    for stage in ("backbone", "features@0", "finetune"):
        built.run("graft", *stage.split("@"), "--force")
    assert built.outputs() == before


def test_its_model_predicts_and_is_exported(built: Project) -> None:
    answers = built.folder / "answers.csv"
    built.run(sys.executable, "-m", "graft", "predict", "data/raw/tiny", "--output", str(answers))
    own = pd.read_csv(built.folder / "reports/finetuned/predictions.csv").set_index("path")
    found = pd.read_csv(answers)
    found.index = found["path"].str.removeprefix("data/raw/tiny/")
    assert found.loc[own.index, "label"].tolist() == own["predicted"].tolist()
    built.run(sys.executable, "-m", "graft", "export", "--format", "keras", "--output", "out")
    use = (built.folder / "out/use.py").read_text(encoding="utf-8")
    assert "keras tensorflow keras-hub" in use
    photo = next((built.folder / "data/raw/tiny").rglob("*.png"))
    assert built.run(sys.executable, "out/use.py", str(photo))
