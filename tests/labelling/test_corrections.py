"""What corrections by hand make of labels, and what they refuse."""

import io
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from string import ascii_letters

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.errors import UserError
from graft.common.tables import read_json, read_table
from graft.images.files import identity
from graft.labelling.corrections import (
    Correction,
    match_corrections,
    read_corrections,
    write_corrections,
)
from graft.project.choices import CORRECTIONS
from images import Capture, change, classes, listing, run, write

PICTURES = classes({"cat": 6, "dog": 6})
TEXTS = st.text(ascii_letters + ' ,;"\n\té고', min_size=1, max_size=9)


@pytest.fixture
def photos(here: Path) -> Path:
    write(here / "photos", PICTURES)
    return here


def correct(text: str, photos: str = "photos") -> dict[str, Mapping[str, str]]:
    """The rows of the manifest by path, with these corrections."""
    write(Path(), {str(CORRECTIONS): text.encode()})
    return {row["path"]: row for row in listing(photos)}


def complaint(text: str) -> str:
    with pytest.raises(UserError) as error:
        correct(text)
    return str(error.value)


def test_a_picture_gets_another_label_by_its_path_or_its_id(photos: Path, capsys: Capture) -> None:
    id_ = identity(PICTURES["cat/1.png"])
    rows = correct(f"path,id,label\ncat/0.png,,dog\nanywhere.png,{id_},dog\ndog/5.png,,dog\n")
    decided = {path for path, row in rows.items() if row["by_hand"]}
    assert decided == {"cat/0.png", "cat/1.png", "dog/5.png"}
    assert {rows[path]["label"] for path in decided} == {"dog"}
    assert all(row["label"] == path[:3] for path, row in rows.items() if path not in decided)
    assert "data/corrections.csv, labels changed: 2, left out: 0" in capsys.readouterr().out


def test_an_id_means_all_equal_files_and_a_path_one(photos: Path) -> None:
    """So a person can say which of two labels equal files have."""
    write(photos / "photos", {"dog/copy.png": PICTURES["cat/0.png"]})
    rows = correct("path,label\ndog/copy.png,cat\n")
    assert rows["dog/copy.png"]["label"] == rows["cat/0.png"]["label"] == "cat"
    rows = correct(f"id,leave_out\n{identity(PICTURES['cat/0.png'])},yes\n")
    assert rows["dog/copy.png"]["label"] == rows["cat/0.png"]["label"] == ""
    rows = correct("path,leave_out\ncat/0.png,yes\n")
    assert (rows["dog/copy.png"]["label"], rows["cat/0.png"]["label"]) == ("dog", "")


def test_what_is_left_out_is_in_no_part(photos: Path, capsys: Capture) -> None:
    correct("path,leave_out\ncat/0.png,yes\ndog/2.png,yes\n")
    for stage in ("tensors 0", "tensors 1", "tensors 2", "tensors 3", "duplicates", "split"):
        run(*stage.split())
    split = read_table(Path("data/split.csv")).set_index("path")["part"]
    assert split["cat/0.png"] == split["dog/2.png"] == "left out: by dataset.corrections"
    assert not split.drop(["cat/0.png", "dog/2.png"]).str.startswith("left out").any()
    assert read_json(Path("reports/split.json"))["left_out"] == 2
    assert "2 left_out" in capsys.readouterr().out


def test_corrections_reach_into_an_archive(photos: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, data in PICTURES.items():
            archive.writestr(path, data)
    write(photos, {"photos.zip": file.getvalue()})
    assert correct("path,label\ncat/3.png,dog\n", "photos.zip")["cat/3.png"]["label"] == "dog"


def test_a_picture_outside_the_classes_gets_one(photos: Path) -> None:
    write(photos / "photos", {"found.png": PICTURES["cat/0.png"][:-1] + b"x"})
    assert "found.png" not in correct("path,label\n")
    row = correct("path,label\nfound.png,cat\n")["found.png"]
    assert (row["label"], row["by_hand"], row["group"]) == ("cat", "yes", "")


def test_columns_of_a_table_of_labels_stay(photos: Path) -> None:
    lines = [f"{path},{path[:3]},{path[4]}" for path in PICTURES]
    write(photos / "photos", {"labels.csv": "\n".join(["path,label,camera", *lines]).encode()})
    change(photos, {"dataset.group": "camera"})
    row = correct("path,label\ncat/3.png,dog\n")["cat/3.png"]
    assert (row["label"], row["csv_camera"]) == ("dog", "3")


def test_what_matches_no_picture_is_named(photos: Path, capsys: Capture) -> None:
    gone = identity(b"gone")
    correct(f"path,id,label\ncat/9.png,,dog\ncat/0.png,{gone},dog\ncat/1.png,,dog\n")
    (warning,) = read_json(Path("data/warnings/manifest.json"))
    where = "data/corrections.csv, line 2"
    assert warning["text"] == f"2 of 3 corrections match no picture: 'cat/9.png' ({where})"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a CSV whose first line names the column path or id, and label or leave_out"),
        ("path\ncat/0.png\n", "names the column path or id, and label or leave_out. Received"),
        ("label\ncat\n", "names the column path or id, and label or leave_out. Received: 'label'"),
        ("path,label\ncat/0.png,Dog\n", "line 2: label must be a class of the data set: 'cat', "),
        ("path,label\n,dog\n", "line 2: path must be given, or an id"),
        ("path,label\ncat/0.png,\n", "line 2 must be a row with a label, or with leave_out yes"),
        ("path,label,leave_out\ncat/0.png,dog,yes\n", "leave_out yes. Received: 'dog, yes'"),
        ("path,leave_out\ncat/0.png,no\n", "line 2: leave_out must be yes, or empty"),
        ("id,label\n12ab,dog\n", "line 2: id must be 32 hexadecimal digits"),
        ("path,label\ncat/0.png,dog\ncat/0.png,cat\n", "Received: 'dog (data/corrections.csv, lin"),
    ],
)
def test_a_wrong_table_is_refused(photos: Path, text: str, said: str) -> None:
    assert said in complaint(text)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["", "cat", " dog "])), unique_by=lambda x: x[0]))
def test_what_is_written_is_read_again(rows: list[tuple[str, str]]) -> None:
    made = [Correction("", path, "", label.strip(), {"note": path}) for path, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_corrections(path, made)
        again = read_corrections(path.read_bytes(), "table.csv")
    assert sorted(row._replace(line="") for row in again) == sorted(made) or not made
    found, lost = match_corrections(again, {path: identity(path.encode()) for path, _ in rows})
    assert {path: row.label for path, row in found.items()} == {p: v.strip() for p, v in rows}
    assert not lost
