"""`graft compare` on results that share some of their images."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.common.tables import read_table, write_table
from graft.integrity.damage import hash_file
from graft.revisions.noise import compare_images
from graft.revisions.pairing import pair_images
from graft.revisions.settings import ModelResults
from graft.tools.compare import main
from images import Capture
from repositories import LABELS, MODELS, call_dvc, commit, git, write_results

# An image and its label, and whether a model is right.
ROWS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab"), st.booleans()), min_size=1)


def results(rows: list[tuple[int, str, bool]], per_unit: int = 1) -> ModelResults:
    """Results on images; the paths say nothing."""
    images = pd.DataFrame(
        {
            "path": [f"{place}.png" for place in range(len(rows))],
            "label": [label for _, label, _ in rows],
            "right": [right for _, _, right in rows],
            "loss": [0.1 if right else 2.0 for _, _, right in rows],
            "unit": [image // per_unit for image, _, _ in rows],
            "predicted": "a",
            "image": [str(image) for image, _, _ in rows],
        }
    ).set_index(["path", "label"])
    accuracy, loss = images["right"].mean(), images["loss"].mean()
    return ModelResults(accuracy, loss, images, True, {}, "a split", True)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_every_image_is_paired_or_counted(old: list, new: list) -> None:
    pairing = pair_images(results(old), results(new))
    before, after = pairing.before, pairing.after
    keys = [
        [*zip(side["image"], side.index.get_level_values("label"), strict=True)]
        for side in (before, after)
    ]
    assert keys[0] == keys[1]
    sides = [Counter((str(image), label) for image, label, _ in rows) for rows in (old, new)]
    assert Counter(keys[0]) == sides[0] & sides[1]
    assert pairing.n == (len(old), len(new))
    for count, only in zip(pairing.n, pairing.only, strict=True):
        assert count == len(before) + pairing.relabelled + only
    images = [Counter(image for image, _, _ in rows) for rows in (old, new)]
    assert len(before) + pairing.relabelled == (images[0] & images[1]).total()
    assert pairing.is_complete == (sides[0] == sides[1])
    turned = pair_images(results(new), results(old))
    assert (turned.only, turned.relabelled) == (pairing.only[::-1], pairing.relabelled)
    assert turned.needed == pairing.needed


@settings(deadline=None, max_examples=40)
@given(ROWS, ROWS, st.integers(1, 3), st.sampled_from(["right", "loss"]))
def test_a_difference_is_of_the_shared_images_alone(
    old: list, new: list, per_unit: int, column: str
) -> None:
    sides = results(old, per_unit), results(new, per_unit)
    measure = {"right": "accuracy", "loss": "log_loss"}[column]
    found = compare_images(*sides, measure)
    pairing = pair_images(*sides)
    if "classes" in found["others"]:
        return
    assert found["paired"] == (len(pairing.before) >= pairing.needed)
    if found["paired"]:
        compared = pairing.before, pairing.after
        # With what only one side has, and what has another label, nothing changes.
        alone = (side._replace(images=own) for side, own in zip(sides, compared, strict=True))
        again = compare_images(*alone, measure)
        for name in ("means", "n", "units", "lost", "won", "difference", "low", "high", "p"):
            assert found[name] == again[name]
    else:
        compared = sides[0].images, sides[1].images
    difference = compared[1][column].mean() - compared[0][column].mean()
    assert found["difference"] == pytest.approx(float(difference))
    assert found["low"] - 1e-9 <= found["difference"] <= found["high"] + 1e-9


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1))
def test_what_belongs_together_on_either_side_counts_once(units: list[tuple[int, int]]) -> None:
    rows = [(image, "a", True) for image in range(len(units))]
    sides = (
        side._replace(images=side.images.assign(unit=own))
        for side, own in zip((results(rows), results(rows)), zip(*units, strict=True), strict=True)
    )
    joined = pair_images(*sides).join_units()
    # From each image, step by step, all that belong to it.
    expected = [{place} for place in range(len(units))]
    for _ in units:
        for place, (one, other) in enumerate(units):
            for near, (a, b) in enumerate(units):
                if a == one or b == other:
                    expected[place] |= expected[near]
    found = [{near for near, unit in enumerate(joined) if unit == own} for own in joined]
    assert found == expected


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 500), st.integers(1, 500))
def test_half_of_the_images_must_be_shared(n: int, m: int) -> None:
    rows = [[(image, "a", True) for image in range(count)] for count in (n, m)]
    needed = pair_images(results(rows[0]), results(rows[1])).needed
    assert needed == pytest.approx(n * m / (n + m), abs=1)
    # Where the larger part has all of the smaller one, that is enough.
    assert needed <= min(n, m)


@pytest.fixture
def repository(empty: Path) -> Path:
    """A project in git and DVC, in which 30 of 300 validation images are wrong."""
    git(empty, "init", "--quiet")
    call_dvc(empty, "init", "--quiet")
    (empty / "data").mkdir()
    return empty


def build(folder: Path, wrong: range, names: dict[str, str], **more: Any) -> None:
    """What a build leaves, with its split in DVC's cache.

    Args:
        names: the content of each file that is another than its number says.
    """
    write_results(folder, wrong, **more)
    table = read_table(folder / "reports/head/validation.csv")[["path", "label"]]
    ids = [names.get(path, path.rpartition("/")[2]) for path in table["path"]]
    table.insert(0, "id", ids)
    write_table(folder / "data/split.csv", table.assign(part="valid"))
    call_dvc(folder, "add", "--quiet", "data/split.csv")
    digest = hash_file(folder / "data/split.csv")
    write_results(folder, wrong, **more, split=digest)


def change(folder: Path, edit: Any) -> None:
    """Edits the rows of both tables of validation, and what follows from them."""
    for model in MODELS:
        path = folder / f"reports/{model}/validation.csv"
        table = edit(read_table(path))
        write_table(path, table)
        metrics = json.loads((folder / f"reports/{model}/metrics.json").read_text())
        right = float((table["label"] == table["predicted"]).mean())
        path.with_name("metrics.json").write_text(json.dumps(metrics | {"valid_accuracy": right}))


def compare(capsys: Capture) -> dict[str, Any]:
    main(["--json"])
    return json.loads(capsys.readouterr().out)["models"]["head"]["accuracy"]


def test_mended_labels_and_some_other_photos_leave_pairs(empty: Path, capsys: Capture) -> None:
    """Two labels mended, one photo deleted, twenty added."""
    git(empty, "init", "--quiet")
    write_results(empty, range(30), images=270)
    commit(empty, "Before")
    write_results(empty, range(35), images=289, first=1, split="another")

    def mend(table: pd.DataFrame) -> pd.DataFrame:
        rows = table["path"].isin(["c8/8.png", "c9/9.png"])
        return table.assign(label=table["label"].mask(rows, LABELS[0]))

    change(empty, mend)
    main([])
    out = capsys.readouterr().out
    assert (
        "Head\n  269 of 270 validation photos are in both; 1 only in HEAD, 20 only in the work"
        " tree, 2 have another label\n  differences are of the 267 with equal labels; the other"
        " numbers are of all photos of a side\n  photos are known by their paths"
    ) in out
    # On the shared: 27 of those that were wrong are there, and 32 are wrong now.
    assert "    images   −1.87 points, 95 % interval" in out
    assert "89.89 % → 88.01 % of the 267 in 267 units: 5 only right before, 0 only now" in out
    accuracy = compare(capsys)
    assert accuracy["values"] == [pytest.approx(240 / 270), pytest.approx(253 / 289, abs=0.01)]
    counts = {"images": 267, "n": [270, 289], "only": [1, 20], "relabelled": 2, "needed": 140}
    assert accuracy["images"]["shared"] == counts | {"complete": False, "by_content": False}


def test_photos_are_known_by_content(repository: Path, capsys: Capture) -> None:
    build(repository, range(30), {})
    commit(repository, "Before")
    # The first two have changed their names, and one has taken the name of another.
    other = {"c0/0.png": "1.png", "c1/1.png": "0.png", "c2/2.png": "new"}
    build(repository, range(30), other)
    shared = compare(capsys)["images"]["shared"]
    # Under the names of the first two are photos with the labels of the other one.
    assert (shared["images"], shared["relabelled"], shared["only"]) == (297, 2, [1, 1])
    assert shared["by_content"] is True
    # The split of the work tree is that of its folder, where the cache has lost it.
    digest = hash_file(repository / "data/split.csv")
    cached = repository / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.unlink()
    assert compare(capsys)["images"]["shared"] == shared
    (repository / "data/split.csv").unlink()
    shared = compare(capsys)["images"]["shared"]
    assert (shared["complete"], shared["by_content"]) == (True, False)
    main([])
    out = capsys.readouterr().out
    assert "\n  photos are known by their paths: for their content, DVC’s cache must have" in out


def test_equal_splits_have_equal_photos(repository: Path, capsys: Capture) -> None:
    build(repository, range(30), {})
    commit(repository, "Before")
    write_results(repository, range(6), split=hash_file(repository / "data/split.csv"))
    (repository / "data/split.csv").unlink()
    shared = compare(capsys)["images"]["shared"]
    assert (shared["complete"], shared["by_content"]) == (True, True)
