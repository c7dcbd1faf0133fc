"""Photos of something else, from pictures to `graft predict --unknown`, with the real stages."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from graft.common.tables import read_json, read_table
from graft.models.description import read_description
from graft.models.inference import run_graph
from graft.parts.rows import read_features, read_units
from graft.unknown.neighbours import beside, find_limit, read_known
from graft.unknown.tapping import tap_features
from images import SHARDS, complaint, encoded, graft, picture, run, workspace, write
from trainings import SMALL, stage_here

KINDS = ("red", "green", "blue")
MODELS = ("head", "finetuned")
WRITTEN = [f"data/models/{model}.unknown.npz" for model in MODELS]
WRITTEN += [f"reports/{model}/unknown.json" for model in MODELS]


def known_kind(kind: int, seed: int) -> bytes:
    """A smooth picture in which one channel is bright."""
    pixels = picture(100 * kind + seed).astype(int) // 2
    pixels[..., kind] += 120
    return encoded(pixels.astype(np.uint8))


def other_kind(seed: int) -> bytes:
    """Fine stripes of black and white."""
    y, x = np.mgrid[:32, :32]
    stripes = 255 * ((y * (seed % 3) + x + seed) // 2 % 2)
    return encoded(np.repeat(stripes[..., None], 3, 2).astype(np.uint8))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of three kinds and what all stages up to `evaluate` make of them."""
    folder = tmp_path_factory.mktemp("built")
    workspace(folder, {**SMALL, "finetune.unfreeze": "none", "duplicates.difference": 0.0})
    pictures = {
        f"photos/{name}/{seed}.png": known_kind(kind, seed)
        for kind, name in enumerate(KINDS)
        for seed in range(40)
    }
    write(folder, pictures)
    shutil.copytree(Path(__file__).parents[2] / "data/pretrained", folder / "data/pretrained")
    with chdir(folder):
        for stage in ("manifest", "tensors", "duplicates", "split", "backbone", "features"):
            for key in map(str, range(SHARDS)) if stage in ("tensors", "features") else [""]:
                run(stage, key)
        for stage in ("views", "depth", "head", "finetune"):
            run(stage)
        for model in MODELS:
            run("evaluate", model)
    return folder


@pytest.fixture
def photos(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of new pictures, 30 of the known kinds and 12 of another one."""
    known = {f"known/{seed}.png": known_kind(seed % 3, 1000 + seed) for seed in range(30)}
    write(tmp_path, known | {f"other/{seed}.png": other_kind(seed) for seed in range(12)})
    with chdir(built):
        yield tmp_path


def test_other_kinds_are_found_and_known_ones_are_not(photos: Path) -> None:
    asked = ("predict", str(photos / "known"), str(photos / "other"))
    plain, told = photos / "plain.csv", photos / "told.csv"
    status, _, errors = graft(Path(), *asked, "--output", str(plain))
    assert status == 0, errors
    status, _, errors = graft(Path(), *asked, "--unknown", "--unsure", "0.9", "--output", str(told))
    assert status == 0, errors
    before, rows = ([*csv.DictReader(place.open(newline=""))] for place in (plain, told))
    marks = ["unsure", "unknown", "distance", "reason"]
    assert list(rows[0]) == ["path", "label", "confidence", *marks]
    limit = read_json(Path("reports/finetuned/unknown.json"))["limit"]
    for row in rows:
        assert row["unknown"] == ("yes" if float(row["distance"]) > limit else "no")
    other = np.array([row["path"].startswith("other/") for row in rows])
    unknown = np.array([row["unknown"] == "yes" for row in rows])
    assert unknown[other].all() and unknown[~other].mean() <= 0.2
    assert errors.endswith(f"; {unknown.sum()} none of the classes\n")
    # What else is said is the same.
    assert [{name: row[name] for name in before[0]} for row in rows] == before


def test_lines_and_objects_say_what_it_looks_like_most(photos: Path) -> None:
    write(photos, {"bad.png": b"?"})
    names = [str(photos / name) for name in ("other/1.png", "bad.png", "known/1.png")]
    status, out, _ = graft(Path(), "predict", *names, "--unknown", "--unsure", "0.999")
    other, bad, known = out.splitlines()
    assert status == 1 and other.split("  ")[1].startswith("none of these, most like ")
    assert bad.endswith("cannot be read: not an image") and "none of these" not in known
    place = photos / "x.jsonl"
    assert graft(Path(), "predict", *names, "--unknown", "--output", str(place))[0] == 1
    other, bad, known = map(json.loads, place.read_text("utf-8").splitlines())
    assert [one["unknown"] for one in (other, bad, known)] == [True, False, False]
    assert other["distance"] > known["distance"] and bad["distance"] is None
    assert list(known) == ["path", "label", "confidence", "unknown", "distance", "reason"]


@pytest.mark.parametrize("kind", ["keras", "xml"])
def test_a_model_file_has_its_known_photos_beside_it(kind: str, photos: Path) -> None:
    """Without them, or with those of another model, it says so; a head has its own."""
    models = Path("data/models").absolute()
    for name in (f"finetuned.{kind}", "finetuned.bin"):
        shutil.copy(models / name, photos / name)
    model = photos / f"finetuned.{kind}"
    arguments = ("predict", str(photos / "other"), "--unknown", "--model", str(model))
    assert complaint(photos, *arguments).startswith(
        "--unknown must be asked of a model with known photos beside it: graft writes it"
    )
    shutil.copy(models / "head.unknown.npz", beside(model))
    assert complaint(photos, *arguments).endswith("Received: 'that of another model'")
    shutil.copy(models / "finetuned.unknown.npz", beside(model))
    status, out, errors = graft(photos, *arguments)
    assert status == 0, errors
    assert out.count("none of these, most like ") == 12


def test_the_same_bytes_again_whatever_the_order(photos: Path) -> None:
    """What is kept follows from ids, and says how many test photos are beyond the limit."""
    before = [Path(name).read_bytes() for name in WRITTEN]
    for model in MODELS:
        run("evaluate", model)
    assert [Path(name).read_bytes() for name in WRITTEN] == before

    stage = stage_here("evaluate@head")
    graph, parts = Path("data/models/head.xml"), read_features(stage)
    known = read_known(beside(graph), read_description(graph))
    said = read_json(Path("reports/head/unknown.json"))
    split = read_table(Path("data/split.csv"))
    assert said["known"] == (split["part"] == "train").sum() and said["neighbours"] == 5
    valid, test = (known.distances_of(parts[part][:]) for part in ("valid", "test"))
    limit = find_limit(valid, read_units(Path("data/units.csv"), parts["valid"].ids))
    assert said["limit"] == known.limit == limit
    assert (said["n"], said["false_alarms"]) == (len(test), (test > limit).sum())
    assert said["false_alarm_low"] <= said["false_alarm_rate"] <= said["false_alarm_high"]


@pytest.mark.parametrize("model", MODELS)
def test_features_are_what_the_network_hands_to_the_head(
    model: str, built: Path, tmp_path: Path
) -> None:
    """Of both models, and the probabilities are those of the model."""
    with chdir(built):
        graph = Path(f"data/models/{model}.xml")
        width = tap_features(graph, tmp_path / "both.xml")
        rows = np.load("data/features/0.npy")
        layer = read_json(Path("data/depth/layer.json"))
        features = rows[:, layer["start"] : layer["start"] + layer["width"]]
        given = features if model == "head" else np.load("data/tensors/0.npy")
        found = np.concatenate(list(run_graph(tmp_path / "both.xml", given)))
        assert width == layer["width"]
        assert found[:, :width] == pytest.approx(features, rel=1e-4, abs=1e-5)
        plain = np.concatenate(list(run_graph(graph, given)))
        assert (found[:, width:] == plain).all()
