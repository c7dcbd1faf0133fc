"""`graft test`: what it says of a model on other labelled photos, through the command."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from cases import read_cases
from colours import COLOURS, SIDE, photo, photos, save_by_colour
from graft.common.errors import UserError
from graft.images.decoding import decode
from graft.tools import predict
from graft.tools.test import main
from images import Capture, content, encoded, graft, listing, workspace, write
from packing import pack

CASES = read_cases(__file__)
# Of 60 photos 52 are right.
COUNTS = {"red": (20, 0, 0), "green": (6, 14, 0), "blue": (2, 0, 18)}


class Said(NamedTuple):
    """What the command did: exit status, output, errors."""

    status: int
    out: str
    err: str


Try = Callable[..., Said]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_by_colour(tmp_path_factory.mktemp("model"))


@pytest.fixture
def here(empty: Path) -> Path:
    """The present folder, in no project, with the folder `photos`."""
    write(empty / "photos", photos(COUNTS))
    return empty


@pytest.fixture
def attempt(model: Path, here: Path, capsys: Capture) -> Try:
    """Runs the command there; the model is the last one unless another is named."""

    def run(*arguments: str, model: Path = model) -> Said:
        status = 0
        try:
            main([*arguments, "--model", str(model)])
        except SystemExit as ending:
            status = ending.code
        return Said(status, *capsys.readouterr())

    return run


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))


def warnings(said: Said) -> list[str]:
    start = "test: warning: "
    lines = said.err.splitlines()
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


ELSEWHERE = (
    "data/split.csv of the model is not here, so photos that it has learned from would count"
)


def test_the_answer_is_beside_the_promise(here: Path, model: Path) -> None:
    """In a process of its own, outside of any project."""
    status, out, errors = graft(here, "test", "photos", "--model", str(model))
    lines = out.splitlines()
    assert (status, lines[0]) == (
        0,
        "86.7 % right, of 60 photos; 95 % interval 75.8 % to 93.1 %.",
    )
    assert lines[1].startswith(
        "That is within what its file promises: 90.0 % (82.6 % to 94.5 %), on 100 test photos."
        " The difference of −3.3 points may be chance (95 % interval −"
    )
    assert "test: warning: " + ELSEWHERE in errors
    words = [line.split("  ")[0] for line in lines[3:] if not line.startswith(" ")]
    assert words == [
        *("balanced accuracy", "log loss", "calibration error", "confidence", "weakest class"),
        "confused",
    ]
    text = " ".join(out.split())
    assert "weakest class green: 70.0 % of 20 photos found (48.1 % to 85.5 %)" in text
    assert "6 of 20 photos of green were taken for red 2 of 20 photos of blue were taken" in text
    assert "; chance alone makes " in text


@pytest.mark.parametrize("kind", ["xml", "keras"])
@pytest.mark.parametrize(
    "right, word, sentence",
    [
        (99, "worse", r"That is worse than its file promises, by more than chance: 99\.0 % \("),
        (90, "within", r"That is within what its file promises: 90\.0 % \("),
        (50, "better", r"That is better than its file promises, by more than chance: 50\.0 % \("),
    ],
)
def test_what_exceeds_chance_is_said(
    attempt: Try, tmp_path: Path, kind: str, right: int, word: str, sentence: str
) -> None:
    own = save_by_colour(tmp_path, word, right=right).with_suffix(f".{kind}")
    said = attempt("photos", model=own)
    line = said.out.splitlines()[1]
    assert re.match(sentence, line) and said.status == 0
    sign = {"worse": "−", "better": r"\+", "within": "."}[word]
    assert re.search(rf" {sign}\d+\.\d points", line)


def test_every_source_says_the_same(attempt: Try, here: Path) -> None:
    """A folder, archives, and CSVs with relative and with whole paths."""
    first = attempt("photos").out
    files = photos(COUNTS)
    pack(here / "a.zip", files)
    pack(here / "a.tar.gz", {f"wrapped/{name}": data for name, data in files.items()})
    for where, top in (("list.csv", "photos/"), ("whole.csv", f"{here}/photos/")):
        lines = [f"{top}{name},{name.partition('/')[0]}" for name in files]
        (here / where).write_text("\n".join(["file,class", *lines]))
    flat = {name.replace("/", "_"): data for name, data in files.items()}
    write(here / "flat", flat)
    assert attempt("a.zip").out == first
    assert attempt("a.tar.gz").out == first
    assert attempt("list.csv").out == first
    assert attempt("whole.csv").out == first
    assert attempt("flat", "--label", "^[a-z]+").out == first


def test_parts_are_taken_together(attempt: Try, here: Path) -> None:
    for part, first in (("train", 100), ("test", 200)):
        write(here / "divided" / part, photos(COUNTS, first))
    said = attempt("divided")
    assert said.out.startswith("86.7 % right, of 120 photos; ")
    assert "The photos come in parts (train, test): all are taken" in warnings(said)


def test_what_is_written_can_be_read_by_every_command(
    attempt: Try, here: Path, model: Path, capsys: Capture
) -> None:
    write(here / "photos", {"red/bad.png": b"?"})
    first = attempt("photos", "--output", "answers.csv", "--output", "deep.csv")
    assert first.status == 1
    assert attempt("photos", "--output", "answers.csv").out == first.out
    rows = table(here / "answers.csv")
    assert list(rows[0]) == [
        *("path", "label", "answer", "confidence", "correct", "counted", "unit"),
        *("p_red", "p_green", "p_blue", "reason"),
    ]
    bad = next(row for row in rows if row["path"] == "photos/red/bad.png")
    assert [*bad.values()][:6] == ["photos/red/bad.png", "red", "", "", "", "no"]
    assert [*bad.values()][7:] == ["", "", "", "not an image"]
    good = [row for row in rows if row["counted"] == "yes"]
    assert sum(row["correct"] == "yes" for row in good) == 52 and len(good) == 60
    for row in good:
        shares = {name: float(row[f"p_{name}"]) for name in COLOURS}
        assert row["answer"] == max(shares, key=shares.get)
        assert float(row["confidence"]) == max(shares.values())
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert (row["correct"] == "yes") == (row["label"] == row["answer"])
    again = attempt("answers.csv")
    assert (again.status, again.out) == (1, first.out)
    with pytest.raises(SystemExit):
        predict.main(["answers.csv", "--model", str(model), "--output", "predicted.csv"])
    predicted = {row["path"]: row["label"] for row in table(here / "predicted.csv")}
    assert predicted == {row["path"]: row["answer"] for row in rows}
    workspace(here)
    found = listing("answers.csv")
    assert {(row["path"], row["label"]) for row in found} == {
        (row["path"], row["label"]) for row in rows
    }
    capsys.readouterr()


def test_names_that_divide_cells_stay_names(attempt: Try, here: Path, tmp_path: Path) -> None:
    odd = ("a;b;c;\n;d;e", 'a|b|"c|\r|d|e', "p_,\t\t\t,")
    own = save_by_colour(tmp_path, "odd", odd)
    write(here / "odd", photos(dict.fromkeys(odd, (5, 5, 5))))
    assert attempt("odd", "--output", "odd.csv", model=own).status == 0
    rows = table(here / "odd.csv")
    assert {row["label"] for row in rows} == {*odd} and f"p_{odd[1]}" in rows[0]
    assert attempt("odd.csv", model=own).out == attempt("odd", model=own).out
    said = attempt("odd", model=own)
    assert all(line.isprintable() for line in said.out.splitlines())


def test_json_has_an_object_a_line(attempt: Try, here: Path) -> None:
    write(here / "photos", {"red/bad.png": b"?"})
    attempt("photos", "--output", "answers.jsonl")
    rows = [json.loads(line) for line in (here / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 61 and sum(row["correct"] is True for row in rows) == 52
    bad = next(row for row in rows if row["path"].endswith("bad.png"))
    assert (bad["answer"], bad["probabilities"], bad["counted"]) == (None, {}, False)
    assert [*rows[0]["probabilities"]] == [*COLOURS]


def test_a_csv_on_standard_output_leaves_the_answer_to_the_errors(attempt: Try) -> None:
    said = attempt("photos", "--output", "-")
    assert said.out.startswith("path,label,answer,") and len(said.out.splitlines()) == 61
    assert "\n86.7 % right, of 60 photos; " in said.err


def test_a_bad_file_is_named_and_does_not_count(attempt: Try, here: Path) -> None:
    first = attempt("photos")
    bad = {f"red/{number}.bad.png": b"?" for number in range(6)} | {"blue/empty.jpg": b""}
    write(here / "photos", bad)
    said = attempt("photos")
    assert (said.status, said.out) == (1, first.out)
    (told,) = (text for text in warnings(said) if "cannot be read" in text)
    assert told.startswith(
        "7 of 67 photos cannot be read and do not count: photos/blue/empty.jpg (zero bytes),"
        " photos/red/0.bad.png (not an image), "
    )
    assert told.endswith(", and 2 more")


def test_new_classes_and_missing_ones_are_said(attempt: Try, here: Path) -> None:
    """They change nothing in the measures."""
    write(here / "some", photos({"red": (9, 1, 0), "Green ": (0, 10, 0)}))
    first = attempt("some")
    assert first.out.startswith("95.0 % right, of 20 photos; ")
    assert "The class 'Green' is taken for the model's 'green'" in warnings(first)
    missing = "There is no photo of 1 of the model's 3 classes ('blue'): the promise is of all"
    assert missing in warnings(first)
    write(here / "some", photos({"pink": (5, 0, 2), "ash": (0, 0, 1)}, 50))
    said = attempt("some", "--output", "some.csv")
    before, _, new = said.out.partition("new class")
    assert before == first.out
    lines = [" ".join(line.split()) for line in f"new class{new}".splitlines()]
    assert lines == [
        "new class 1 photo of ash, which the model does not know, was taken for blue (1)",
        "new class 7 photos of pink, which the model does not know, were taken for red (5),"
        " blue (2)",
    ]
    reasons = {row["label"]: row["reason"] for row in table(here / "some.csv")}
    assert reasons["pink"] == "class unknown to the model" and reasons["red"] == ""


def test_one_class_can_be_tested(attempt: Try, here: Path) -> None:
    write(here / "one", photos({"red": (9, 1, 0)}))
    said = attempt("one")
    assert said.out.startswith("90.0 % right, of 10 photos; ")
    assert any("no photo of 2 of the model's 3 classes" in text for text in warnings(said))


def test_a_single_photo_can_be_tested(attempt: Try, here: Path) -> None:
    write(here / "single", photos({"red": (1, 0, 0)}))
    said = attempt("single", "--html", "single.html")
    assert (said.status, said.out.splitlines()[0]) == (
        0,
        "100.0 % right, of 1 photo; 95 % interval 20.7 % to 100.0 %.",
    )
    assert "weakest" not in said.out and "confused" not in said.out


def test_photos_that_belong_together_are_one_unit(attempt: Try, here: Path) -> None:
    """Equal files, near copies, and what a group names; the interval is by unit."""
    files = photos({"red": (10, 0, 0), "green": (0, 10, 0), "blue": (0, 5, 5)})
    write(here / "some", files)
    alone = attempt("some").out.splitlines()[0]
    assert alone.startswith("83.3 % right, of 30 photos; 95 % interval ")
    write(here / "some", {f"red/copy{n}.png": files["red/0.png"] for n in range(5)})
    copies = attempt("some").out.splitlines()[0]
    assert copies.startswith("85.7 % right, of 35 photos (30 if those that belong together ")
    picture = Image.open(
        io.BytesIO(files["green/10.png" if "green/10.png" in files else "green/0.png"])
    )
    near = encoded(np.asarray(picture.resize((40, 40)).convert("RGB")), "JPEG", quality=80)
    write(here / "some", {"green/near.jpg": near})
    assert attempt("some").out.startswith(
        "86.1 % right, of 36 photos (30 if those that belong together "
    )
    grouped = attempt("some", "--group", r"/([0-9])\.", "--output", "grouped.csv").out
    assert grouped.splitlines()[0].startswith("86.1 % right, of 36 photos (10 if ")
    # Photos of one number are of one group, and the copies are of that of their original.
    units = {row["path"]: row["unit"] for row in table(here / "grouped.csv")}
    same = {units[f"some/{name}"] for name in ("red/3.png", "green/3.png", "blue/3.png")}
    assert len(same) == 1 and len({*units.values()}) == 10
    assert units["some/red/copy1.png"] == units["some/blue/0.png"]
    again = attempt("grouped.csv")
    assert again.out == grouped


def test_equal_files_of_two_labels_do_not_count(attempt: Try, here: Path) -> None:
    first = attempt("photos").out
    one = photo(0, 9999)
    write(here / "photos", {"red/x.png": one, "blue/y.png": one})
    said = attempt("photos")
    assert said.out == first
    expected = "2 of 62 photos are equal to others of another label: they do not count"
    assert expected in warnings(said)


def test_a_path_that_leads_out_of_an_archive_is_not_followed(attempt: Try, here: Path) -> None:
    pack(here / "odd.zip", photos(COUNTS) | {"../secret.png": photo(0, 7)})
    said = attempt("odd.zip")
    assert said.out.startswith("86.7 % right, of 60 photos; ")
    lost = "1 of the files in the archive cannot be read, and have no label, such as"
    assert f"{lost} '../secret.png' (path leads out of the data set)" in warnings(said)


def test_what_the_model_learned_from_does_not_count(
    attempt: Try, here: Path, tmp_path: Path
) -> None:
    """By the table of its data set, whichever names the files have here."""
    from graft.images.files import identity

    files = photos(COUNTS)
    parts = {
        "red/0.png": "train",
        "red/1.png": "valid",
        "red/2.png": "valid",
        "green/7.png": "test",
    }
    lines = [f"{identity(files[name])},x/{name},red,{part}" for name, part in parts.items()]
    text = "\n".join(["id,path,label,part", *lines, ""]).encode()
    own = save_by_colour(tmp_path, "known", split=text)
    write(here, {"data/split.csv": text})
    said = attempt("photos", "--output", "answers.csv", model=own)
    assert said.out.startswith("86.0 % right, of 57 photos; ")
    assert warnings(said) == [
        "1 of 60 photos is in the training part of the model: it does not count",
        "2 of 60 photos are in the validation part of the model: they do not count",
        "1 of 60 photos is in the test part, by which the model was judged before",
    ]
    reasons = {row["path"]: row["reason"] for row in table(here / "answers.csv")}
    assert reasons["photos/red/0.png"] == "in the training part"
    assert [reasons[f"photos/{name}"] for name in ("red/1.png", "red/3.png", "green/7.png")] == [
        *("in the validation part", "", ""),
    ]
    # That of another model says nothing of this one.
    write(here, {"data/split.csv": text + b"\n"})
    said = attempt("photos", model=own)
    assert (said.out.startswith("86.7 % right, of 60 photos; "), warnings(said)) == (
        True,
        [ELSEWHERE],
    )


def test_near_copies_of_what_it_learned_from_do_not_count(
    attempt: Try, here: Path, tmp_path: Path
) -> None:
    """Photos that were saved anew are found by what the project has of its pictures."""
    rows, checked, pixels = ["id,path,label,part"], ["id,status,phash", "0,quarantined,"], []
    known = {"red/0": "train", "red/1": "train", "green/0": "valid", "blue/3": "test"}
    for name, part in known.items():
        data = io.BytesIO()
        Image.open(here / f"photos/{name}.png").save(data, "JPEG", quality=95)
        found = decode(data.getvalue(), SIDE)
        rows.append(f"{name},{name},red,{part}")
        checked.append(f"{name},ok,{found.phash}")
        pixels.append(found.pixels)
    text = "\n".join([*rows, ""]).encode()
    own = save_by_colour(tmp_path, "known", split=text)
    table_of_checked = "\n".join([*checked, ""]).encode()
    write(here, {"data/split.csv": text, "data/checked/0.csv": table_of_checked})
    (here / "data/tensors").mkdir()
    np.save(here / "data/tensors/0.npy", np.stack(pixels))
    said = attempt("photos", "--output", "answers.csv", model=own)
    assert (said.status, warnings(said)) == (
        0,
        [
            "2 of 60 photos are near copies of photos in the training part of the model: they do"
            " not count (2 would be right)",
            "1 of 60 photos is a near copy of a photo in the validation part of the model: it does"
            " not count (0 would be right)",
        ],
    )
    reasons = {row["path"]: row["reason"] for row in table(here / "answers.csv") if row["reason"]}
    assert reasons == {
        "photos/red/0.png": "near copy of a photo in the training part",
        "photos/red/1.png": "near copy of a photo in the training part",
        "photos/green/0.png": "near copy of a photo in the validation part",
    }
    # Pixels of another side are not those that the model was made from.
    np.save(here / "data/tensors/0.npy", np.zeros((4, 8, 8, 3), np.uint8))
    assert warnings(attempt("photos", model=own)) == []


@pytest.mark.parametrize("arguments, message", CASES["wrong"])
def test_what_is_wrong_is_one_message(
    attempt: Try, here: Path, arguments: list[str], message: str
) -> None:
    write(here, {name: text.encode() for name, text in CASES["files"].items()})
    write(here, {"unknown/a/1.png": photo(0, 1), "unknown/b/1.png": photo(1, 1)})
    write(here, {"loose/1.png": photo(0, 2), "loose/2.png": photo(1, 2)})
    for place in ("x/red", "x/blue", "y/red", "y/blue"):
        write(here / "nested" / place, {f"{n}.png": photo(0, 100 + n) for n in range(3)})
    (here / "empty").mkdir()
    before = content()
    options = [] if "--output" in arguments else ["--output", "x.csv"]
    options += [] if "--html" in arguments else ["--html", "x.html"]
    long = [one.replace("LONG", "x" * 5000) for one in arguments]
    with pytest.raises(UserError, match=message) as error:
        attempt(*long, *options)
    assert str(error.value).count("\n") == 0
    assert "params.yaml" not in str(error.value) and "graft use" not in str(error.value)
    assert content() == before


def test_all_photos_learned_from_is_one_message(attempt: Try, here: Path, tmp_path: Path) -> None:
    from graft.images.files import identity

    lines = [f"{identity(data)},{name},red,train" for name, data in photos(COUNTS).items()]
    text = "\n".join(["id,path,label,part", *lines, ""]).encode()
    own = save_by_colour(tmp_path, "known", split=text)
    write(here, {"data/split.csv": text})
    expected = r"^the photos must be some that can be counted\. Received: '60 in the training part'"
    with pytest.raises(UserError, match=expected):
        attempt("photos", model=own)
