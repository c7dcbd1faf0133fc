"""The features of photos are those that the pipeline has of them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from graft.common.tables import read_json, read_table, read_tables
from images import encoded, picture, write
from project import Project


@pytest.fixture(scope="module")
def built(real: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project that was built."""
    return real.copy(tmp_path_factory.mktemp("embed") / "project")


def stored(folder: Path) -> dict[str, np.ndarray]:
    """The features of the images of the project, by path."""
    layer = read_json(folder / "data/depth/layer.json")
    checked = read_tables(sorted((folder / "data/checked").glob("*.csv")), ["id", "status"])
    shards = sorted((folder / "data/features").glob("*.npy"))
    features = np.concatenate([np.load(shard) for shard in shards])
    own = features[:, layer["start"] : layer["start"] + layer["width"]]
    rows = dict(zip(checked["id"], own, strict=True))
    manifest = read_table(folder / "data/manifest.csv")
    return {path: rows[id_] for id_, path in zip(manifest["id"], manifest["path"], strict=True)}


def test_features_are_those_of_the_pipeline(built: Project) -> None:
    wanted = stored(built.folder)
    said = built.run("graft", "embed", "data/raw/tiny", "--output", "data/raw/all.npy")
    assert f"embed: {len(wanted)} photos, " in said
    array = np.load(built.folder / "data/raw/all.npy")
    table = read_table(built.folder / "data/raw/all.csv")
    paths = [path.removeprefix("tiny/") for path in table["path"]]
    assert array.dtype == np.float32 and sorted(paths) == sorted(wanted)
    np.testing.assert_array_equal(array, np.stack([wanted[path] for path in paths]))


def test_a_table_has_the_same_numbers(built: Project) -> None:
    wanted = stored(built.folder)
    built.run("graft", "embed", "data/raw/tiny/a", "--output", "a.csv")
    with (built.folder / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:2] == ["path", "feature_0"]
    assert len(rows) == 15
    for path, *numbers in rows[1:]:
        found = np.array(numbers, np.float32)
        np.testing.assert_array_equal(found, wanted[path.removeprefix("data/raw/tiny/")])
    # It can be read again as a list of photos.
    built.run("graft", "predict", "a.csv", "--model", "head", "--output", "answers.csv")


def test_what_cannot_be_read_is_named(built: Project) -> None:
    write(built.folder / "photos", {"a.png": encoded(picture(1)), "b\r.png": b"none"})
    said = built.run("graft", "embed", "photos", "--output", "photos.npy", status=1)
    assert "embed: cannot be read: photos/b" in said
    assert len(np.load(built.folder / "photos.npy")) == 1


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("x.txt", "--output must be a file .npy or .csv. Received: 'x.txt'"),
        ("none/x.npy", "--output must be a file in a folder that is there. Received: 'none/x.npy'"),
        ("params.csv", "--output must be a new file. Received: 'params.csv, which is there'"),
        ("params.npy", "--output must be a new file. Received: 'params.csv, which is there'"),
    ],
)
def test_a_wrong_output_is_refused(built: Project, output: str, said: str) -> None:
    (built.folder / "params.csv").touch()
    assert said in built.run("graft", "embed", "data/raw/tiny", "--output", output, status=2)
    assert not (built.folder / "params.csv").read_bytes()
