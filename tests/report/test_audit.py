"""What the page says of the images, from small tables that are made here."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from graft.common.classes import LEFT_OUT, PARTS
from graft.report.sections.audit import LEAKS
from pages import BAD, Page, audited, in_parts, noise, rendered

HOSTILE = BAD[-1]
OTHER = LEFT_OUT + "equal files have two labels"


def page(found: dict[str, Any], weights: bool = False) -> Page:
    """The page with the section on images alone; `weights` are those of rare classes."""
    weighted = "balanced" if weights else "none"
    chosen = {f"{stage}__class_weight": weighted for stage in ("head", "finetune")}
    return rendered({"images": found}, **chosen)


LABELS = st.sampled_from(["a", "nan", "10", "9", ""])
ENDS = st.sampled_from([*PARTS, OTHER, *(LEFT_OUT + reason for reason in BAD)])


@settings(max_examples=40)
@given(st.lists(st.tuples(LABELS, ENDS)))
def test_every_file_is_counted_once(files: list[tuple[str, str]]) -> None:
    found = audited(files)
    for row in [*found["rows"], found["total"]]:
        assert row["used"] + row["left_out"] + row["quarantined"] == row["files"]
    assert found["total"]["files"] == len(files)
    for row in found["rows"]:
        for part, cell in zip(PARTS, row["cells"], strict=bool(row["cells"])):
            assert cell["images"] == files.count((row["name"], part))
    bad = [part for _, part in files if part.removeprefix(LEFT_OUT) in BAD]
    assert found["total"]["quarantined"] == len(bad) == len(found["quarantined"])
    assert sum(n for _, n, _ in found["bad_reasons"]) == len(bad)
    assert sum(n for _, n in found["left_out"]) == sum(part == OTHER for _, part in files)


def test_classes_follow_the_chosen_order_and_no_class_comes_last() -> None:
    files = [*in_parts(**dict.fromkeys(["10", "9", "b"], (1, 1, 1))), ("", LEFT_OUT + BAD[0])]
    assert [row["name"] for row in audited(files)["rows"]] == ["9", "10", "b", ""]
    chosen = audited(files, chosen=["b", "10", "absent"])
    assert [row["name"] for row in chosen["rows"]] == ["b", "10", "9", ""]
    assert "no class" in page(chosen).text


def test_shares_and_groups_are_shown_and_added_up() -> None:
    text = page(audited(in_parts(a=(14, 3, 3), b=(7, 1, 2)))).text
    assert "a 14 70.0 % 14 groups 3 15.0 % 3 groups 3 15.0 % 3 groups 0 0 20" in text
    assert "b 7 70.0 % 7 groups 1 10.0 % 1 group 2 20.0 % 2 groups 0 0 10" in text
    assert "All 21 70.0 % 21 groups 4 13.3 % 4 groups 5 16.7 % 5 groups 0 0 30" in text


def test_groups_of_several_classes_are_not_added_up() -> None:
    # Three groups have an image of both classes each.
    found = audited(in_parts(a=(1, 1, 1), b=(1, 1, 1)), groups=3)
    assert [cell["groups"] for cell in found["total"]["cells"]] == [None] * 3
    assert "All 2 33.3 % – 2 33.3 % – 2 33.3 % –" in page(found).text


def test_the_proof_is_one_sentence() -> None:
    files = in_parts(a=(700, 150, 150), b=(7, 1, 2))
    found = page(audited(files, clusters=1, duplicates=2, groups=900))
    checked = "1,010 files, 1 set of copies, 900 groups checked."
    assert f"No file, no picture and no group is in two parts: {checked}" in found.text
    assert "too good" not in found.text and "Not every class" not in found.text


@pytest.mark.parametrize("key", LEAKS)
def test_a_leak_is_a_warning_instead(key: str) -> None:
    one, many = LEAKS[key]
    for number, noun in ((1, one), (2, many)):
        text = page(audited(in_parts(a=(1, 1, 1), b=(1, 1, 1)), **{key: number})).text
        assert "No file, no picture" not in text
        assert f"In two parts at once: {number} {noun}." in text


def test_imbalance_is_said_and_a_remedy_named() -> None:
    def text(b: Sequence[int], weights: bool = False) -> str:
        return page(audited(in_parts(a=(14, 3, 3), b=b)), weights).text

    assert "Every class has the same number of images: 20." in text((14, 3, 3))
    slight = text((7, 2, 1))
    assert "The largest class has 2.0 times the images of the smallest ( a : 20, b : 10)." in slight
    assert "class_weight: balanced" not in slight
    large = text((3, 1, 1))
    assert "has 4.0 times the images of the smallest ( a : 20, b : 5). With" in large
    assert "Both trainings weigh rare classes more" in text((3, 1, 1), weights=True)
    # Hardly any difference is no factor of 1.0.
    assert "has 1.01 times" in page(audited(in_parts(a=(100, 1, 1), b=(101, 1, 1)))).text


def test_absent_classes_are_named_ten_at_most() -> None:
    found = audited(in_parts(**{f"c{i}": (2, 1, int(i >= 12)) for i in range(20)}, d=(1, 0, 1)))
    assert [(part, len(names)) for part, names in found["absent"]] == [("valid", 1), ("test", 12)]
    text = page(found).text
    assert "Valid lacks 1 class: d ." in text
    ten = " , ".join(f"c{i}" for i in range(10))
    assert f"Test lacks 12 classes: {ten} and 2 more" in text


def test_a_class_without_images_in_use_is_no_absent_one() -> None:
    # It was not chosen, or all of it was left out: no model knows it.
    found = audited([*in_parts(a=(2, 1, 1)), ("b", OTHER)])
    assert found["absent"] == []
    assert "Every class has the same number of images: 4." in page(found).text
    assert "b – – – 1 0 1" in page(found).text


def test_quarantined_files_are_listed_up_to_twenty() -> None:
    bad = [("a", LEFT_OUT + BAD[0])] * 15 + [("b", LEFT_OUT + BAD[1])] * 8
    good = in_parts(a=(1, 1, 1), b=(1, 1, 1))
    text = page(audited(good + bad)).text
    assert "23 of 29 files could not be used" in text
    assert "zero bytes 15 a : 15 truncated 8 b : 8" in text
    assert "The first 20 quarantined files; 3 more are in data/split.csv" in text
    assert "b/25 truncated" in text and "b/26" not in text
    assert "All quarantined files." in page(audited(good + bad[:20])).text
    assert "Every file could be used as an image." in page(audited(good)).text


def test_what_a_data_set_holds_stays_text() -> None:
    files = in_parts(**{HOSTILE: (9, 0, 0), "b": (1, 1, 1)})
    files += [(HOSTILE, LEFT_OUT + HOSTILE), (HOSTILE, LEFT_OUT + "no part of " + HOSTILE)]
    pairs = [("near", f"1 {HOSTILE}", HOSTILE, f"2 {HOSTILE}", HOSTILE, "0.1")]
    found = page(audited(files, pairs))
    assert len(found.scripts) == 2 and not found.handlers
    expected = [f"{HOSTILE}/12", f"no part of {HOSTILE}", f"1 {HOSTILE}", f"2 {HOSTILE}"]
    assert {HOSTILE, *expected} <= {*found.texts}
    # As a class: absent (twice), the largest, in the table, of a bad file, in the pair (twice); and
    # as a reason: in its table and in the list.
    assert found.texts.count(HOSTILE) == 9


def test_pairs_are_shown_in_their_order_with_both_names() -> None:
    pairs = [
        ("two labels", "a/1", "a", "b/2", "b", "0.123456"),
        ("near", "a/3", "a", "a/4", "a", "0.05"),
        ("exact", "b/5", "b", "b/6", "", "0"),
    ]
    files = in_parts(a=(2, 1, 1), b=(2, 1, 1))
    text = page(audited(files, pairs, clusters=40, duplicates=90)).text
    assert "40 sets of copies or near copies with 90 images in all" in text
    assert "Two labels · difference 12.3 % of the contrast a a/1 b b/2 Near copy" in text
    assert "Near copy · difference 5.0 % of the contrast a a/3 a a/4 Exact copy" in text
    assert "Exact copy · no difference b b/5 no class b/6" in text


def test_a_pair_under_two_labels_is_explained() -> None:
    files = in_parts(a=(2, 1, 1), b=(2, 1, 1))
    pair = ("a/1", "a", "a/2", "a", "0.1")
    reason = "one label is wrong, or the pictures are no copies"
    assert reason in page(audited(files, [("two labels", *pair)])).text
    assert reason not in page(audited(files, [("near", *pair)])).text


def test_changed_copies_are_counted_and_named() -> None:
    files = in_parts(a=(2, 1, 1), b=(2, 1, 1))
    pair = ("mirrored and turned by 15°", "a/1", "a", "a/2", "a", "0.1")
    text = page(audited(files, [pair], changed=2, clusters=2, duplicates=4)).text
    assert "2 pairs of which one picture is the other mirrored, turned or enlarged" in text
    assert "Mirrored and turned by 15°" in text
    assert "mirrored, turned" not in page(audited(files, clusters=2, duplicates=4)).text


def test_large_sets_are_named_for_what_they_are() -> None:
    files = in_parts(a=(2, 1, 1), b=(2, 1, 1))
    large = [
        ("a/1", "150", "200", "0.97", "0.04", "0.02", ""),
        (HOSTILE, "30", "200", "0.1", "0.1", "0.2", "id"),
        ("b/1", "20", "200", "1.0", "", "0.2", "id"),
    ]
    text = page(audited(files, large=large)).text
    assert "150 of 200 pictures, such as a/1 , are one large set of near pictures: 97.0 %" in text
    assert "Those that differ by more than 0.04 of the contrast count as different." in text
    assert f"30 of 200 pictures, such as {HOSTILE} , are" in text
    assert "It stays in one part. With duplicates.difference: 0.1 , pictures that are no" in text
    assert text.count("It stays in one part.") == 2
    assert "large set" not in page(audited(files)).text


def test_without_copies_one_sentence_says_so() -> None:
    found = page(audited(in_parts(a=(2, 1, 1))))
    assert "No picture is a copy or near copy of another." in found.text
    assert "img" not in found.tags  # the page has no picture at all


@pytest.mark.parametrize(
    ("side", "shown", "kept"),
    [(8, 96, 8), (28, 84, 28), (32, 96, 32), (64, 128, 64), (100, 100, 100), (224, 128, 128)],
)
def test_pictures_are_of_a_size_to_compare(side: int, shown: int, kept: int) -> None:
    found = audited(in_parts(a=(2, 1, 1)), [("exact", "a/1", "a", "a/2", "a", "0")], side)
    (pair,) = found["pairs"]
    assert (pair["side"], pair["enlarged"]) == (shown, shown > side)
    for address, original in zip(pair["pictures"], noise(1, 2, side)[0], strict=True):
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))
        assert decoded.shape == (kept, kept, 3)
        if kept == side:
            assert (decoded == original).all()
