"""Who is on which photo of the sign digits, by the numbers of the files."""

import csv
import runpy
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import ROOT, write

SCRIPT = runpy.run_path(str(ROOT / "workflow/scripts/sign_persons.py"))
PHOTOS = ROOT.parent / "shared/data/sign-language-digits.zip"


@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=20), st.data())
def test_a_digit_no_larger_begins_a_person(shown: list[set[int]], data: st.DataObject) -> None:
    expected, number, person, last = {}, 1000, 0, 10
    for digits in shown:
        # Two persons can only be distinguished where the second begins again.
        person += min(digits) <= last
        for digit in sorted(digits):
            number += data.draw(st.integers(1, 5))
            expected[f"{digit}/IMG_{number}.JPG"] = person
            last = digit
    found = SCRIPT["persons"](data.draw(st.permutations(list(expected))))
    assert found == expected


def test_the_csv_lies_beside_the_photos(tmp_path: Path) -> None:
    names = ["0/IMG_1.JPG", "1/IMG_2.JPG", "1/IMG_4.JPG", "0/IMG_5.JPG"]
    write(tmp_path, dict.fromkeys(names, b""))
    SCRIPT["write"](tmp_path)
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == names
    assert [row["label"] for row in rows] == ["0", "1", "1", "0"]
    assert [row["group"] for row in rows] == ["person 1", "person 1", "person 2", "person 3"]


@pytest.mark.skipif(not PHOTOS.exists(), reason="the photos are not at ../shared")
def test_there_are_220_persons_with_a_photo_of_a_digit_each() -> None:
    with zipfile.ZipFile(PHOTOS) as archive:
        paths = [name.partition("/")[2] for name in archive.namelist() if name.endswith(".JPG")]
    found = SCRIPT["persons"](paths)
    assert len(found) == 2062
    assert len(set(found.values())) == 220
    assert max(Counter((person, path[0]) for path, person in found.items()).values()) == 1
