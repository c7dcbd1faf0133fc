"""What is refused of a data set before anything is decoded, and what is only warned of.

More of what is refused is in `tools/test_misuse.py`.
"""

from pathlib import Path

import pytest

from graft.common.errors import UserError
from graft.common.tables import read_json
from images import Capture, change, classes, encoded, listing, picture, run, write

CLASSES = {"cat": 3, "dog": 3}


def refused(here: Path, inside: dict[str, bytes], **changes: object) -> str:
    """What the first stage that reads images says of a data set, once its files are listed."""
    write(here / "photos", inside)
    change(here, {f"dataset.{key}": value for key, value in changes.items()})
    listing()
    with pytest.raises(UserError) as raised:
        run("tensors", "0")
    assert not (here / "data/tensors").exists()
    return str(raised.value)


def test_of_a_class_folder_its_neighbours_are_named(here: Path) -> None:
    write(here / "photos", {f"{path}": data for path, data in classes(CLASSES).items()})
    write(here / "photos/cat", classes({"inside": 3}))
    said = refused(here, {}, path="photos/cat")
    assert "did you mean photos, which has the folders cat, dog?" in said


def test_a_class_needs_an_image_for_each_part(here: Path) -> None:
    equal = {f"few/{n}.png": encoded(picture(1)) for n in range(5)}
    said = refused(here, {**classes(CLASSES), **equal, "few/other.png": encoded(picture(2))})
    few = "3 or more, all different: one for each part. Received: 2"
    assert said.endswith(f"of class 'few' must be {few}")


def test_a_class_that_is_not_chosen_may_be_small(here: Path) -> None:
    write(here / "photos", classes({**CLASSES, "few": 1}))
    change(here, {"dataset.classes": ["cat", "dog"]})
    listing()
    run("tensors", "0")


def test_what_is_passed_over_is_named(here: Path) -> None:
    beside = {"1.jpg": b"1", "2.png": b"2", "more.zip": b"3", "cat/older.tar.gz": b"4"}
    write(here / "photos", {**classes(CLASSES), **beside, "notes.txt": b"5"})
    listing()
    texts = [row["text"] for row in read_json(Path("data/warnings/manifest.json"))]
    assert texts == [
        "2 images belong to no class and are not used, such as '1.jpg'",
        "2 archives within the data set were not looked into ('cat/older.tar.gz', 'more.zip'):"
        " unpack them where their images belong",
    ]


def test_nothing_odd_is_nothing_said(here: Path, capsys: Capture) -> None:
    write(here / "photos", {**classes(CLASSES), "README.md": b"about"})
    listing()
    assert read_json(Path("data/warnings/manifest.json")) == []
    assert "warning" not in capsys.readouterr().err
