"""What is made of layouts of data sets as people have them."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import read_cases
from graft.common.classes import normal
from graft.common.errors import UserError
from graft.labelling.layout import Undecided, read_layout
from graft.labelling.matching import match_paths
from graft.labelling.names import read_part, suggest_expression
from images import change, encoded, listing, nothing_made, picture, write
from packing import pack

CASES = read_cases(__file__)
PNG = encoded(picture())


def spelled(short: Iterable[str]) -> list[str]:
    """The paths of files that the short ones of the table stand for."""
    paths = [path.replace("*", str(n)) for path in short for n in range(1, 2 + 2 * ("*" in path))]
    return [path if re.search(r"\.\D*$", path) else f"{path}.png" for path in paths]


def made(case: dict[str, Any]) -> dict[str, bytes]:
    """The files of a case; those that are no pictures are text."""
    return {path: PNG if path.endswith(".png") else b"text" for path in spelled(case["files"])}


@pytest.mark.parametrize("name", CASES["read"])
def test_a_layout_is_read(here: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    case = CASES["read"][name]
    write(here / "photos", made(case))
    change(here, {"dataset.label": case.get("label", "auto")})
    rows = {row["path"]: (row["label"], row["part"]) for row in listing()}
    known = {
        path: tuple(said.split(" ", 1))
        for said, short in case["known"].items()
        for path in spelled(short)
    }
    assert rows == known
    errors = capfd.readouterr().err
    warnings = [line for line in errors.splitlines() if "warning:" in line]
    said = case.get("said", [])
    assert len(warnings) == len(said) and all(part in errors for part in said), errors


@pytest.mark.parametrize("name", CASES["refused"])
def test_what_cannot_be_decided_is_one_error(here: Path, name: str) -> None:
    case = CASES["refused"][name]
    write(here / "photos", made(case))
    change(here, {"dataset.label": case.get("label", "auto")})
    with pytest.raises(UserError, match=case["said"]):
        listing()
    assert nothing_made()


def test_the_command_that_an_error_names_mends_it(here: Path) -> None:
    write(here / "photos", made(CASES["refused"]["names of files"]))
    with pytest.raises(UserError) as error:
        listing()
    command = shlex.split(re.search("`(.*)`", str(error.value))[1])
    key, _, value = command[-1].partition("=")
    change(here, {key: value})
    assert {row["label"] for row in listing()} == {"cat", "dog"}


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_an_archive_is_read_like_a_folder(here: Path, kind: str) -> None:
    pack(here / f"photos{kind}", made(CASES["read"]["lists beside the pictures"]))
    assert {row["label"] for row in listing(f"photos{kind}")} == {"pie", "pizza"}
    change(here, {"dataset.path": f"other{kind}"})
    pack(here / f"other{kind}", made(CASES["refused"]["capital letters between parts"]))
    with pytest.raises(UserError, match=r"letters alone: write 'Cat' for 'cat' everywhere\. Rec"):
        listing(f"other{kind}")


def test_an_empty_class_folder_is_named(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(here / "photos", made({"files": ["train/a/*", "train/b/*", "test/a/*", "test/b/*"]}))
    (here / "photos/train/c/raw").mkdir(parents=True)
    assert len(listing()) == 12
    said = "1 folder beside the class folders has no picture: 'train/c'"
    assert said in capfd.readouterr().err


names = st.text(st.sampled_from("aB_é/1 "), min_size=1, max_size=9).filter(
    lambda text: all(text.split("/"))
)


@given(st.sets(names, min_size=1, max_size=12), st.sampled_from([None, 0, 1, 2]))
def test_any_folders_have_a_class_or_are_undecided(folders: set[str], level: int | None) -> None:
    try:
        layout = read_layout(folders, folders, level)
    except Undecided:
        assert level is None
        return
    assert layout.classes.keys() <= folders
    for folder, said in layout.classes.items():
        assert said.label in folder.split("/")


@given(st.text(max_size=20))
def test_a_class_has_one_name(label: str) -> None:
    assert normal(normal(label)) == normal(label)
    assert normal(f" {label}\n") == normal(label) or not label.strip()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *(("seg_train", "train"), ("test1", "test"), ("ValidationSet", "valid"), ("VAL", "valid")),
        *(("trainval", None), ("train_test", None), ("straining", None), ("contest", None)),
    ],
)
def test_names_of_parts(name: str, part: str | None) -> None:
    found = read_part(name)
    assert (found.part if found else None) == part


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        ("train/img1", "train/img1.jpg"),
        ("train\\img1.jpg", "train/img1.jpg"),
        ("train/IMG1.JPG", "train/img1.jpg"),
        (" train/img1.jpg ", "train/img1.jpg"),
        ("train/e\u0301.jpg", "train/\u00e9.jpg"),
        ("img1", "train/img1.jpg"),
        ("/srv/photos/train/img1.jpg", "train/img1.jpg"),
        ("C:\\data\\train\\img1.jpg", "train/img1.jpg"),
    ],
)
def test_other_writings_of_a_path_are_found(wanted: str, there: str) -> None:
    assert match_paths([wanted], [there, "labels.csv", "train/other.jpg"]) == {wanted: there}


def test_what_may_mean_two_files_means_none() -> None:
    assert match_paths(["1"], ["1.jpg", "1.png"]) == {}
    assert match_paths(["1", "1 "], ["1.jpg"]) == {}
    assert match_paths(["a/1.jpg", "x/2.jpg", "x/3.jpg"], ["b/1.jpg", "c/2.jpg"]) == {}


class TestTable:
    """Paths of a table that are no files as they are written."""

    FILES = dict.fromkeys((f"train/img{n}.png" for n in range(9)), PNG)

    @pytest.mark.parametrize("alone", [True, False])
    def test_they_are_read(
        self, here: Path, alone: bool, capfd: pytest.CaptureFixture[str]
    ) -> None:
        lines = [f"train\\img{n};{'ab'[n % 2]}" for n in range(9)]
        table = "\n".join(["image_id;class", *lines]).encode()
        write(here / "photos", self.FILES | {"labels.csv": table})
        rows = listing("photos/labels.csv" if alone else "photos")
        assert {row["path"] for row in rows if not row["reason"]} == {*self.FILES}
        said = "9 of 9 paths in .* are written otherwise than their files, such as "
        assert re.search(said, capfd.readouterr().err)

    def test_without_one_file_is_an_error(self, here: Path) -> None:
        write(here / "photos", self.FILES | {"labels.csv": b"path,label\nno/1.png,a\nno/2.png,b\n"})
        said = r"2 of 2 paths .* do not exist, such as 'no/1\.png'; files there are such as 'train/"
        with pytest.raises(UserError, match=said):
            listing()
        assert nothing_made()

    def test_another_column_or_an_expression_gives_the_label(self, here: Path) -> None:
        lines = [f"{path},x,{'ab'[n % 2]}" for n, path in enumerate(self.FILES)]
        table = "\n".join(["path,label,breed", *lines]).encode()
        write(here / "photos", self.FILES | {"labels.csv": table})
        for rule, known in (("breed", {"a", "b"}), (r"img(\d)", {*"012345678"})):
            change(here, {"dataset.label": rule})
            assert {row["label"] for row in listing()} == known

    def test_classes_that_differ_in_capital_letters_are_an_error(self, here: Path) -> None:
        lines = [f"{path},{'Cat' if n else 'cat'}" for n, path in enumerate(self.FILES)]
        table = "\n".join(["path,label", *lines]).encode()
        write(here / "photos", self.FILES | {"labels.csv": table})
        with pytest.raises(UserError, match="write 'Cat' for 'cat' everywhere"):
            listing()


def test_expressions_are_suggested_where_names_say_classes() -> None:
    named = [f"{kind}{n:03}.jpg" for kind in ("rose_", "wild tulip (") for n in range(5)]
    expression, classes = suggest_expression(named)
    assert classes == ["rose", "wild tulip"] and expression
    assert suggest_expression([f"{n}_rose.jpg" for n in range(5)]) is None
    assert suggest_expression([f"{n}_{kind}.jpg" for kind in "ab" for n in range(5)])[1] == [*"ab"]
    assert suggest_expression([f"{n * 7919:x}.jpg" for n in range(50)]) is None
