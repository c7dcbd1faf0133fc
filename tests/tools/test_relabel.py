"""A list of labels by hand becomes corrections."""

from pathlib import Path

import pytest

from graft.common.tables import read_table
from graft.project.choices import CORRECTIONS
from images import classes, complaint, graft, listing, write

PICTURES = classes({"cat": 6, "dog": 6})


@pytest.fixture
def photos(here: Path) -> Path:
    """A listed data set with two equal files under one label."""
    write(here / "photos", {**PICTURES, "cat/copy.png": PICTURES["cat/5.png"]})
    listing()
    return here


def relabel(folder: Path, text: str) -> tuple[int, str, str]:
    write(folder, {"list.csv": text.encode()})
    return graft(folder, "relabel", "list.csv")


def rows() -> list[tuple[str, ...]]:
    """What the corrections say: path, whether the id is given, label, leave_out."""
    table = read_table(CORRECTIONS)
    return [
        (row["path"], bool(row["id"]), row["label"], row["leave_out"])
        for row in table.to_dict("records")
    ]


def test_a_list_is_merged_and_its_changes_are_told(photos: Path) -> None:
    said = relabel(photos, "path,label,leave_out\ncat/0.png,dog,\ncat/1.png,,yes\ndog/0.png,dog,\n")
    what = "2 pictures change (1 cat → dog, 1 cat → left out); 1 as before"
    assert said == (0, f"data/corrections.csv: {what}\n", "")
    first = [("cat/0.png", True, "dog", ""), ("cat/1.png", True, "", "yes")]
    assert rows() == [*first, ("dog/0.png", True, "dog", "")]
    # A later list says otherwise of one, and something of another.
    said = relabel(photos, "path;label\ncat/1.png;cat\ndog/1.png;cat\n")
    what = "2 pictures change (1 left out → cat, 1 dog → cat)"
    assert said == (0, f"data/corrections.csv: {what}\n", "")
    new = [("cat/1.png", True, "cat", ""), ("dog/0.png", True, "dog", "")]
    assert rows() == [first[0], *new, ("dog/1.png", True, "cat", "")]
    labels = {row["path"]: row["label"] for row in listing()}
    assert [labels[path] for path, *_ in rows()] == ["dog", "cat", "dog", "cat"]


def test_equal_files_can_differ(photos: Path) -> None:
    relabel(photos, "path,label\ncat/5.png,dog\n")
    assert rows() == [("cat/5.png", False, "dog", "")]
    relabel(photos, "path,label\ncat/copy.png,dog\n")
    assert rows() == [("cat/5.png", True, "dog", "")]
    relabel(photos, "path,leave_out\ncat/copy.png,yes\n")
    assert rows() == [("cat/5.png", False, "dog", ""), ("cat/copy.png", False, "", "yes")]


def test_what_matches_no_picture_is_named_and_not_written(photos: Path) -> None:
    lost = "".join(f"lost/{n}.png,dog\n" for n in range(7))
    status, out, errors = relabel(photos, f"path,label\n{lost}cat/0.png,dog\n")
    assert (status, out.count("\n")) == (1, 1)
    assert errors.splitlines()[0] == "no picture is 'lost/0.png' (list.csv, line 2)"
    assert errors.splitlines()[5:] == ["nor are 2 more of the list"]
    assert rows() == [("cat/0.png", True, "dog", "")]


def test_corrections_of_pictures_that_are_gone_stay(photos: Path) -> None:
    write(photos, {str(CORRECTIONS): b"path,label,note\nold.png,dog,seen by Anna\n"})
    relabel(photos, "path,label\ncat/0.png,dog\n")
    assert rows() == [("cat/0.png", True, "dog", ""), ("old.png", False, "dog", "")]
    assert [*read_table(CORRECTIONS)["note"]] == ["", "seen by Anna"]


def test_a_wrong_list_changes_nothing(photos: Path) -> None:
    before = CORRECTIONS.read_bytes()
    write(photos, {"list.csv": b"path,label\ncat/0.png,dgo\n"})
    said = complaint(photos, "relabel", "list.csv")
    assert said.startswith("list.csv, line 2: label must be a class of the data set: 'cat', 'dog'")
    assert complaint(photos, "relabel", "none.csv").startswith("none.csv cannot be read: No such")
    Path("data/manifest.csv").unlink()
    write(photos, {"list.csv": b"path,label\ncat/0.png,dog\n"})
    said = "data/manifest.csv is missing; `uv run dvc repro manifest` makes it"
    assert complaint(photos, "relabel", "list.csv") == said
    assert CORRECTIONS.read_bytes() == before
