"""Which image is what, by a CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cases import read_cases
from graft.common.classes import normal
from graft.common.errors import UserError
from graft.decoder import reasons
from graft.images import files
from graft.labelling.labels import Label
from graft.labelling.table import by_csv
from images import classes, encoded, listing, nothing_made, picture, workspace, write
from packing import KINDS, pack

CASES = read_cases(__file__)
FILES = {f"images/{number}.png": encoded(picture(number)) for number in range(4)}
LINES = [f"{name},{'cat' if number % 2 else 'dog'}" for number, name in enumerate(FILES)]
TABLE = "\n".join(["path,label", *LINES])
# What a cell may hold: everything that UTF-8 can.
cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = cells.filter(lambda text: text.strip("./") and "/" not in text)


def table(rows: Sequence[Sequence[str]], end: str = "\r\n") -> bytes:
    """A CSV as programs write it."""
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    return file.getvalue().encode()


class TestTable:
    """The CSV by itself."""

    @given(st.dictionaries(names, cells.filter(bool), min_size=1), st.sampled_from(["\n", "\r\n"]))
    def test_any_name_and_class_are_read_as_written(self, wanted: dict[str, str], end: str) -> None:
        data = table([("path", "label"), *wanted.items()], end)
        found = by_csv(data, "x.csv")
        assert {path: label.label for path, label in found.items()} == wanted

    @pytest.mark.parametrize("form", CASES["forms"])
    def test_forms_of_one_table(self, form: str) -> None:
        data = CASES["forms"][form].encode("latin-1")
        assert by_csv(data, "x.csv") == {"1.png": Label("cat")}

    @pytest.mark.parametrize(
        ("written", "part"),
        [("", ""), ("train", "train"), ("Validation", "valid"), ("TEST_SET", "test")],
    )
    def test_parts_are_called_as_people_do(self, written: str, part: str) -> None:
        found = by_csv(f"path,label,part\n1.png,cat,{written}".encode(), "x.csv")
        assert found["1.png"].part == part

    def test_other_columns_keep_their_names_behind_a_mark(self) -> None:
        header = ("id", "path", "shard", "label", "csv_id", "", "part", "reason", "group")
        data = table([header, ("7", "1.png", "x", "cat", "y", "z", "test", "why", "Anna")])
        more = {"id": "7", "shard": "x", "csv_id": "y", "": "z", "reason": "why"}
        more = {f"csv_{name}": value for name, value in more.items()}
        assert by_csv(data, "x.csv")["1.png"] == Label("cat", "test", "Anna", more)

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            *((text.encode("latin-1"), message) for text, message in CASES["wrong"]),
            ("path,label\n1,cat\n".encode("utf-16"), "a CSV in UTF-8. Received: b'"),
            (b"path,label\n1.png," + b"x" * 200_000, "line 2: field larger than field limit"),
            (b"path,label\n" + b"a," * 10_000, "2 cells.* Received: '(a,){100}'$"),
            (b"path,label\n" + b"a," * 600_000, "line 2 must be at most 1,048,576 characters"),
        ],
    )
    def test_what_is_no_table_is_an_error_with_its_line(self, data: bytes, message: str) -> None:
        with pytest.raises(UserError, match=rf"^x\.csv.*{message}"):
            by_csv(data, "x.csv")

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_table_or_one_message(self, data: bytes) -> None:
        try:
            assert by_csv(b"path,label\n" + data, "x.csv")
        except UserError as error:
            assert str(error).startswith("x.csv")


class TestDataSet:
    """A CSV with its files."""

    def test_one_beside_its_files(self, here: Path) -> None:
        write(here / "photos", FILES | {"some.csv": TABLE.encode(), "images/other.png": b""})
        rows = listing("photos/some.csv")
        assert [row["path"] for row in rows] == list(FILES)
        assert [row["label"] for row in rows] == ["dog", "cat"] * 2
        assert [row["id"] for row in rows] == [files.identity(data) for data in FILES.values()]

    @pytest.mark.parametrize("wrap", ["", "photos/", "a/b/"])
    @pytest.mark.parametrize("kind", ["", *KINDS])
    def test_one_at_the_top_of_a_folder_or_archive(self, here: Path, kind: str, wrap: str) -> None:
        inside = {wrap + name: data for name, data in FILES.items()}
        inside |= {f"{wrap}labels.csv": TABLE.encode(), f"{wrap}other.png": b"", "README": b""}
        pack(here / f"photos{kind}", inside)
        rows = listing(f"photos{kind}")
        assert [row["path"] for row in rows] == [wrap + name for name in FILES]
        assert [row["label"] for row in rows] == ["dog", "cat"] * 2

    def test_one_that_lies_deeper_or_beside_is_a_file_like_others(self, here: Path) -> None:
        files = classes({"cat": 1, "dog": 1})
        write(here / "photos", files | {"cat/labels.csv": TABLE.encode(), "dog/labels.csv": b""})
        assert [row["label"] for row in listing()] == ["cat", "cat", "dog", "dog"]

    def test_all_columns_reach_the_manifest(self, here: Path) -> None:
        rows = [("path", "label", "part", "camera", "id"), ("images/0.png", "cat", "test", "", "1")]
        write(here / "photos", FILES | {"labels.csv": table(rows)})
        (row,) = listing()
        assert list(row)[-3:] == ["reason", "csv_camera", "csv_id"]
        assert (row["part"], row["csv_camera"], row["csv_id"]) == ("test", "", "1")
        assert row["id"] == files.identity(FILES["images/0.png"])

    @pytest.mark.parametrize("bare", [True, False])
    def test_files_that_cannot_be_had_have_a_reason(self, here: Path, bare: bool) -> None:
        write(here, {"secret.png": encoded(picture(9))})
        expected = {
            "gone.png": "missing",
            "../secret.png": "path leads out of the data set",
            "images/../../secret.png": "path leads out of the data set",
            str(here / "secret.png"): "absolute path",
            "images": "not a regular file" if bare else "missing",
            "images/0.png/1.png": "unreadable: Not a directory" if bare else "missing",
            "x" * 300: "unreadable: File name too long" if bare else "missing",
            "a\0b": "unreadable: embedded null byte" if bare else "missing",
            "1" * 5000: "name is too long",
            "images/0.png": "",
            "images/~": "missing",
        }
        data = table([("path", "label"), *((path, "cat") for path in expected)])
        write(here / "photos", FILES | {"labels.csv": data})
        rows = listing("photos/labels.csv" if bare else "photos")
        assert {row["path"]: row["reason"] for row in rows} == expected
        assert {row["label"] for row in rows} == {"cat"}
        assert len({row["id"] for row in rows}) == len(rows)
        assert files.identity((here / "secret.png").read_bytes()) not in str(rows)

    @pytest.mark.parametrize("kind", ["", ".zip", ".tar"])
    def test_one_that_cannot_be_used_is_an_error(self, here: Path, kind: str) -> None:
        inside = classes({"cat": 1, "dog": 1}) | {"labels.csv": b"id,breed\n1,cat\n"}
        pack(here / f"photos{kind}", inside)
        with pytest.raises(UserError, match=rf"photos{kind}: labels\.csv must be a CSV whose"):
            listing(f"photos{kind}")
        assert nothing_made()

    def test_one_that_cannot_be_read_is_an_error(self, here: Path) -> None:
        write(here / "photos", classes({"cat": 1, "dog": 1}))
        (here / "photos/labels.csv").symlink_to("nowhere")
        with pytest.raises(UserError, match=r"'photos': 'labels.csv' cannot be read: missing"):
            listing()

    def test_one_too_large_is_an_error(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reasons, "LARGEST_FILE", 20)
        write(here / "photos", {"labels.csv": TABLE.encode()})
        for path in ("photos", "photos/labels.csv"):
            with pytest.raises(UserError, match=r"cannot be read: larger than"):
                listing(path)

    @settings(max_examples=40)
    @given(st.dictionaries(names, cells.filter(bool), min_size=1, max_size=5))
    def test_any_name_and_class_reach_the_manifest(
        self, tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, str]
    ) -> None:
        assume(len({normal(label).casefold() for label in wanted.values()}) == len(wanted))
        here = tmp_path_factory.mktemp("here")
        workspace(here)
        # A table without one file is an error.
        rows = [("path", "label"), ("there/1.png", "there"), *wanted.items()]
        write(here / "photos", {"labels.csv": table(rows), "there/1.png": b""})
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(here)
            rows = listing()
        known = {path: normal(label) for path, label in wanted.items()}
        assert {row["path"]: row["label"] for row in rows} == known | {"there/1.png": "there"}
