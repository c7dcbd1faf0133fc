"""The real stages, built once by each engine: the same bytes.

In DVC's build each stage runs in a folder with only its declared inputs.
"""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

import alone
import project
from graft.project.pipeline import PACKAGE
from project import Project, assert_fresh

# Every stage has something to do.
CHANGES = project.TINY | {"augment.zoom": 0.1, "augment.copies": 1, "finetune.unfreeze": "auto"}
CHANGES |= {"image.side": 40, "image.fit": "crop"}
CHANGED = (
    "graft predict: error: the head must be made together with its network: `uv run snakemake"
    " --cores all` makes it so. Received: 'data/backbone/graph.xml, changed since'\n"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """Two projects, one built by Snakemake and one by DVC."""
    top = tmp_path_factory.mktemp("build")
    made = {name: project.make(top / name, CHANGES) for name in ("snakemake", "repro")}
    command = top / "commands/graft"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {alone.__file__} "$@"\n')
    command.chmod(0o755)
    made["repro"].commands = command.parent
    with ThreadPoolExecutor(2) as pool:
        ways = made["snakemake"].snakemake, lambda: made["repro"].dvc("repro")
        for done in [pool.submit(way) for way in ways]:
            done.result()
    return made


def test_both_engines_give_the_same_bytes(built: dict[str, Project]) -> None:
    one, other = (made.outputs() for made in built.values())
    assert one == other


def test_nothing_is_left_to_do(built: dict[str, Project]) -> None:
    for made in built.values():
        assert_fresh(made)


def test_a_log_is_about_the_job(built: dict[str, Project]) -> None:
    """Rules list data and a flag, no code."""
    logs = list((built["snakemake"].folder / ".snakemake/log").glob("*.log"))
    assert logs
    assert all(str(PACKAGE) not in log.read_text(encoding="utf-8") for log in logs)


def predict(made: Project, folder: Path, model: Sequence[str] = (), status: int = 0) -> str:
    """Runs `graft predict` over all photos, into `folder / x.csv`: what it prints."""
    command = [sys.executable, "-m", "graft", "predict", "data/raw/tiny", *model]
    return made.run(*command, "--output", str(folder / "x.csv"), status=status)


def check_answers(made: Project, folder: Path, model: str) -> None:
    """Holds the answers to be those of the pipeline, image by image."""
    found = pd.read_csv(folder / "x.csv")
    assert list(found) == ["path", "label", "confidence", "reason"] and len(found) == 42
    # Paths are those from the table on.
    found.index = found["path"].str.removeprefix("project/data/raw/tiny/")
    for table in ("predictions", "validation"):
        own = pd.read_csv(made.folder / f"reports/{model}/{table}.csv")
        answers = found.loc[own["path"]]
        assert len(own) > 3
        assert answers["label"].tolist() == own["predicted"].tolist()
        assert answers["confidence"].tolist() == own["confidence"].tolist()


@pytest.mark.parametrize("model", ["finetuned", "head"])
def test_predictions_are_those_of_the_pipeline(
    built: dict[str, Project], tmp_path: Path, model: str
) -> None:
    """By the model's own description: with other parameters in params.yaml they stay the same."""
    made = built["snakemake"].copy(tmp_path / "project")
    predict(made, tmp_path, () if model == "finetuned" else ("--model", model))
    check_answers(made, tmp_path, model)
    made.change({"image.side": 48, "image.fit": "pad", "head.seed": 7})
    predict(made, tmp_path, ("--model", model))
    check_answers(made, tmp_path, model)
    # In the middle of another run the network is another one already, and the head is not.
    graph = made.folder / "data/backbone/graph.xml"
    graph.write_bytes(graph.read_bytes() + b"\n")
    (tmp_path / "x.csv").unlink()
    said = predict(made, tmp_path, ("--model", model), status=0 if model == "finetuned" else 2)
    if model == "finetuned":
        check_answers(made, tmp_path, model)
    else:
        assert said == CHANGED
        assert not (tmp_path / "x.csv").exists()


def test_an_added_image_costs_one(built: dict[str, Project], tmp_path: Path) -> None:
    """One project takes rows from DVC's cache; in the other nothing is noted, and all is new."""
    made, new = (built[name].copy(tmp_path / name) for name in ("snakemake", "repro"))
    for one in (made, new):
        project.add_image(one.folder, 1, 99)
    made.snakemake("data/features/0.npy")
    printed = new.dvc("repro", "features@0")
    for stage in ("tensors", "features"):
        log = (made.folder / f"logs/{stage}@0.log").read_text(encoding="utf-8")
        assert f"{stage} 0: 1 of 43 images, the others as before" in log
        assert f"{stage}@0" in printed and "as before" not in printed
    for name in ("tensors/0.npy", "checked/0.csv", "features/0.npy"):
        paths = [one.folder / "data" / name for one in (made, new)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    # What is forced to run computes all.
    made.snakemake("data/features/0.npy", "-R", "tensors")
    log = (made.folder / "logs/tensors@0.log").read_text(encoding="utf-8")
    assert "43/43 images" in log and "as before" not in log
    assert paths[0].read_bytes() == paths[1].read_bytes()
