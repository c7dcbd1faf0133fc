"""`graft predict`: answers of a model file, for photos of every kind of source."""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from cases import read_cases
from formats import heic
from graft.common.errors import UserError
from graft.images.decoding import decode
from graft.images.files import File
from graft.models.description import write_description
from graft.models.framework import keras
from graft.models.saving import save_graph, save_model
from graft.prediction.answers import answer_photos
from graft.prediction.chosen import open_model
from graft.tools.predict import main
from images import (
    ROOT,
    Capture,
    call,
    complaint,
    content,
    encoded,
    graft,
    picture,
    workspace,
    write,
)
from packing import KINDS, pack
from trainings import CNN, describe

CASES = read_cases(__file__)

SIDE, SHARPNESS = 16, 0.03
# A class may be called anything; none of this may reach a terminal as it is.
CLASSES = ("red\n\x1b[2J", "\u202egreen\r", 'blue, "sky"')
NAMES = ("2.png", "10.png", "sub/1.jpg", "sub/deep/3.png")
PHOTOS = {
    name: encoded(picture(seed, 40, 30 + 20 * seed), "JPEG" if name.endswith("jpg") else "PNG")
    for seed, name in enumerate(NAMES)
}
BAD = {"empty.jpg": b"", "text.png": b"no picture", "cut.png": PHOTOS["2.png"][:-40]}
REASONS = {"empty.jpg": "zero bytes", "text.png": "not an image", "cut.png": "truncated"}


class Ran(NamedTuple):
    """What the command did: exit status, output, errors."""

    status: int
    out: str
    err: str


Predict = Callable[..., Ran]


def expected(data: bytes, *look: Any) -> np.ndarray:
    """The confidences, by the mean of each channel: float (3,)."""
    means = decode(data, SIDE, "crop", *look).pixels.reshape(-1, 3).mean(0)
    odds = np.exp(SHARPNESS * (means - means.max()))
    return odds / odds.sum()


EXPECTED = {name: expected(data) for name, data in PHOTOS.items()}


def save(folder: Path, name: str, classes: int = 3, side: int = SIDE, sharp: float = SHARPNESS):
    """Writes a model by the mean of each channel, as both kinds of file, without a description."""
    inputs = keras.Input((side, side, 3), name="pixels")
    means = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(classes, "softmax")(means), name="finetuned")
    model.set_weights([sharp * np.eye(3, classes), np.zeros(classes)])
    save_model(model, folder / f"{name}.keras")
    save_graph(model, folder / f"{name}.xml")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models, of which one is right."""
    folder = tmp_path_factory.mktemp("models")
    about = describe(CLASSES, inputs="pixels", side=SIDE, fit="crop")
    save(folder, "mine")
    save(folder, "dark")
    save(folder, "four", classes=4)
    save(folder, "large", side=SIDE + 1)
    save(folder, "broken", sharp=np.nan)
    shutil.copy(folder / "mine.keras", folder / "silent.keras")
    shutil.copy(folder / "mine.keras", folder / "head.keras")
    for name in ("mine", "four", "large", "broken"):
        for kind in ("keras", "xml"):
            write_description(folder / f"{name}.{kind}", about)
    for kind in ("keras", "xml"):
        dark = replace(about, background="black", white_level=4095)
        write_description(folder / f"dark.{kind}", dark)
    write_description(folder / "head.keras", describe(CLASSES))
    return folder


@pytest.fixture
def here(empty: Path) -> Path:
    """The present folder, in no project, with the folder `photos`."""
    write(empty / "photos", PHOTOS | {".hidden": b"", "sub/Thumbs.db": b"", "labels.csv": b""})
    return empty


@pytest.fixture
def predict(models: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Predict:
    """Runs the command there with the model, on these bytes in standard input."""

    def run(*arguments: str, stdin: bytes = b"", model: str = "mine.xml") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = 0
        try:
            main([*arguments, "--model", str(models / model)])
        except SystemExit as ending:
            status = ending.code
        return Ran(status, *capsys.readouterr())

    return run


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV, read as strictly as can be."""
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def check(found: list[dict[str, str]], paths: dict[str, str]) -> None:
    """Holds rows to be the right answers, in this order.

    Args:
        found: the rows.
        paths: where each photo is expected, with its name.
    """
    assert [row["path"] for row in found] == list(paths)
    for row, name in zip(found, paths.values(), strict=True):
        if name in REASONS:
            assert (row["label"], row["confidence"], row["reason"]) == ("", "", REASONS[name])
            continue
        right = EXPECTED[name]
        assert row["label"] == CLASSES[right.argmax()] and row["reason"] == ""
        assert float(row["confidence"]) == pytest.approx(right.max(), abs=1e-5)


def below(folder: str, *names: str) -> dict[str, str]:
    return {f"{folder}/{name}": name for name in names}


def test_a_photo_waits_for_no_library_that_it_does_not_need(models: Path, here: Path) -> None:
    given = ["photos/2.png", "--model", str(models / "mine.xml")]
    code = f"import sys; from graft.tools.predict import main; main({given!r}); print(*sys.modules)"
    answer, imported = call(sys.executable, "-c", code, check=True).stdout.splitlines()
    assert answer.startswith("photos/2.png  ")
    slow = {"imagehash", "keras", "multiprocessing", "pandas", "scipy", "sklearn"}
    assert {"numpy", "openvino"} <= set(imported.split())
    assert not (slow | {"tensorflow", "tqdm"}) & set(imported.split())


def test_the_photos_tell_the_classes_apart() -> None:
    assert len({right.argmax() for right in EXPECTED.values()}) > 1
    assert all(0.34 < right.max() < 0.99 for right in EXPECTED.values())


@pytest.mark.parametrize("kind", ["xml", "keras"])
def test_a_model_file_answers_outside_of_any_project(models: Path, here: Path, kind: str) -> None:
    """In a process of its own; a folder comes in natural order."""
    arguments = ("photos", "--output", "found.csv", "--model", str(models / f"mine.{kind}"))
    status, out, errors = graft(here, "predict", *arguments)
    assert (status, out) == (0, "")
    check(rows((here / "found.csv").read_bytes().decode()), below("photos", *NAMES))
    first, *_, last = errors.splitlines()
    accuracy = "accuracy on 12 test images 80.0 % (75.8–100.0 %)"
    assert first.endswith(f"cnn at 16 pixels, 3 classes; {accuracy}")
    assert last == "predict: 4 photos; written to found.csv"
    _, _, errors = graft(here, "predict", *arguments)
    assert errors.splitlines()[-1] == f"{last}, in place of the file that was there"


@pytest.mark.parametrize("kind", ["xml", "keras"])
def test_background_and_white_are_those_that_the_model_learned_with(
    predict: Predict, here: Path, kind: str
) -> None:
    """Photos of phones among them; an icon that one model sees is nothing to another."""
    colours, alpha = picture(7, 40, 60), picture(8, 40, 60)[..., :1]
    icon = np.full((40, 60, 4), 255, np.uint8)
    icon[:20, :, 3] = 0
    clear = {
        "half.png": encoded(np.dstack([colours, alpha])),
        "icon.png": encoded(icon),
        "phone.heic": heic(np.dstack([colours, alpha])),
        "deep.png": encoded(colours[..., 0].astype(np.uint16) * 16),
    }
    write(here / "clear", clear)
    for model, *look in (("mine", "white", "auto"), ("dark", "black", 4095)):
        ran = predict("clear", "--output", "-", model=f"{model}.{kind}")
        for row in rows(ran.out):
            name = Path(row["path"]).name
            if (model, name) == ("mine", "icon.png"):
                assert row["reason"] == "blank on image.background white"
                continue
            right = expected(clear[name], *look)
            assert row["label"] == CLASSES[right.argmax()]
            assert float(row["confidence"]) == pytest.approx(right.max(), abs=1e-5)
        assert ran.status == (1 if model == "mine" else 0)


def test_lines_are_for_people(predict: Predict) -> None:
    """One a photo, without anything that moves the cursor or turns the line round."""
    ran = predict("photos", "photos/2.png", "--top", "3", "--unsure", "0.6")
    lines = ran.out.splitlines()
    assert len(lines) == 5 and lines[0] == lines[4]
    assert all(line.isprintable() for line in lines)
    for line, name in zip(lines, NAMES, strict=False):
        order = np.argsort(-EXPECTED[name])
        shown = [f"{ascii(CLASSES[i])[1:-1]} {100 * EXPECTED[name][i]:.1f} %" for i in order]
        mark = "  (unsure)" if EXPECTED[name].max() < 0.6 else ""
        assert line == f"photos/{name}  {', '.join(shown)}{mark}"
    assert (ran.status, "\x1b" in ran.err) == (0, False)
    count = sum(line.endswith("(unsure)") for line in lines)
    assert 0 < count < 5
    said = f"predict: 5 photos; {count} unsure, below 0.6: a person should look at these"
    assert ran.err.splitlines()[-1] == said


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_is_read_in_place(predict: Predict, here: Path, kind: str) -> None:
    """Whatever its name is, in its own order; a bad file in it is a row."""
    files = {"text.png": BAD["text.png"], **PHOTOS}
    pack(here / f"some{kind}", files)
    (here / f"some{kind}").rename("some.jpg")
    ran = predict("some.jpg", "--output", "-")
    check(rows(ran.out), below("some.jpg", *files))
    assert ran.status == 1 and ran.err.endswith("predict: 5 photos; 1 could not be read\n")
    assert sorted(path.name for path in here.iterdir()) == ["photos", "some.jpg"]


def test_a_csv_names_photos_below_its_folder(predict: Predict, here: Path) -> None:
    """With a label or without; a photo may be named twice, and anywhere: the user says so."""
    away = [f"{here}/whole.png", "../above.png"]
    names = ["sub/1.jpg", "2.png", "2.png", *away, "none.png", "/none.png", "sub"]
    for name in ("whole.png", "above.png"):
        (here / name).write_bytes(PHOTOS["2.png"])
    for header, more in (("path", ""), ("label,path,group", "x")):
        lines = [f"x,{name},{more}" if more else name for name in names]
        (here / "photos/list.csv").write_text("\n".join([header, *lines]), encoding="utf-8-sig")
        found = rows(predict("photos/list.csv", "--output", "-").out)
        assert [row["reason"] for row in found] == [
            *("", "", "", "", "", "missing", "missing"),
            "not a regular file",
        ]
        paths = [*(f"photos/{name}" for name in names[:3]), away[0], "photos/../above.png"]
        assert [row["path"] for row in found[:5]] == paths
        assert found[1]["confidence"] == found[3]["confidence"] == found[4]["confidence"]
        assert found[0]["label"] == CLASSES[EXPECTED["sub/1.jpg"].argmax()]
        assert found[1] == found[2] != found[0]


@pytest.mark.parametrize(
    "place", ["found.csv", "deep/er/found.csv", "photos/found.csv", "deep/../found.csv"]
)
@pytest.mark.parametrize("whole", [False, True])
def test_what_is_written_can_be_read_again(
    predict: Predict, here: Path, place: str, whole: bool
) -> None:
    """From any folder, whichever way the photos were named."""
    (here / "deep/er").mkdir(parents=True)
    given = f"{here}/photos" if whole else "deep/../photos"
    assert predict(given, "--output", place).status == 0
    first = rows((here / place).read_bytes().decode())
    begins = {"deep/er/found.csv": f"{here}/photos/", "photos/found.csv": ""}.get(place, "photos/")
    assert [row["path"] for row in first] == [begins + name for name in NAMES]
    ran = predict(place, "--output", "again.csv")
    assert ran.status == 0
    again = rows((here / "again.csv").read_bytes().decode())
    assert [row["path"] for row in again] == [f"photos/{name}" for name in NAMES]
    assert [row["confidence"] for row in again] == [row["confidence"] for row in first]


@pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl"])
def test_only_what_graft_wrote_is_written_over(predict: Predict, here: Path, name: str) -> None:
    path = here / name
    path.write_text("path,label,group\nmine,of,days\n")
    with pytest.raises(UserError, match=r"^--output must be a new file, or one that graft has"):
        predict("photos", "--output", name)
    assert path.read_text() == "path,label,group\nmine,of,days\n"
    path.unlink()
    assert [predict("photos", "--output", name).status for _ in range(2)] == [0, 0]


@pytest.mark.parametrize("end", ["\n", "\0"])
def test_paths_come_from_standard_input(predict: Predict, here: Path, end: str) -> None:
    names = {"photos/2.png": "2.png", f"{here}/photos/sub/1.jpg": "sub/1.jpg", "a b.png": "2.png"}
    if end == "\0":
        names |= {"line\nfeed.png": "10.png", "line\rback.png": "2.png"}
    for path, name in names.items():
        if not Path(path).exists():
            Path(path).write_bytes(PHOTOS[name])
    names["nothing.png"] = "nothing.png"
    text = end.join(names) + end
    ran = predict("-", "--output", "-", stdin=text.encode())
    found = rows(ran.out)
    assert (ran.status, found.pop()["reason"]) == (1, "missing")
    del names["nothing.png"]
    check(found, names)


def test_a_bad_file_is_a_row_wherever_it_is(predict: Predict, here: Path) -> None:
    write(here / "bad", BAD)
    order = ["bad/empty.jpg", "photos/2.png", "bad/text.png", "bad/cut.png", "photos/10.png"]
    order += ["bad/text.png"]
    ran = predict(*order, "--output", "-")
    found = rows(ran.out)
    assert [row["path"] for row in found] == order
    for row in found:
        check([row], {row["path"]: row["path"].partition("/")[2]})
    assert ran.status == 1 and ran.err.endswith("predict: 6 photos; 4 could not be read\n")
    ran = predict("bad")
    said = [f"bad/{name}  cannot be read: {REASONS[name]}" for name in sorted(BAD)]
    assert (ran.status, ran.out.splitlines()) == (1, said)


def test_a_csv_has_what_is_asked_for(predict: Predict, here: Path) -> None:
    write(here, {"bad.png": b"?"})
    ran = predict("photos", "bad.png", "--top", "3", "--unsure", "0.6", "--output", "found.CSV")
    assert (ran.status, ran.out) == (1, "")
    text = (here / "found.CSV").read_bytes().decode()
    found = rows(text)
    columns = ["path", "label", "confidence", "label_2", "confidence_2", "label_3", "confidence_3"]
    assert list(found[0]) == [*columns, "unsure", "reason"]
    check(found[:4], below("photos", *NAMES))
    assert [*found[4].values()] == ["bad.png", *[""] * 7, "not an image"]
    for row, name in zip(found, NAMES, strict=False):
        order = np.argsort(-EXPECTED[name])
        assert [row["label"], row["label_2"], row["label_3"]] == [CLASSES[i] for i in order]
        assert float(row["confidence_3"]) == pytest.approx(EXPECTED[name].min(), abs=1e-5)
        assert row["unsure"] == ("yes" if EXPECTED[name].max() < 0.6 else "no")
    assert "; written to found.CSV; 1 could not be read; " in ran.err
    assert sorted(path.name for path in here.iterdir()) == ["bad.png", "found.CSV", "photos"]
    # Without the options it has the first three columns and the reason.
    assert predict("photos", "--output", "found.CSV").status == 0
    assert (here / "found.CSV").read_text().splitlines()[0] == "path,label,confidence,reason"


def test_json_has_an_object_a_line(predict: Predict, here: Path) -> None:
    write(here, {"bad.png": b"?"})
    options = ("--top", "2", "--unsure", "0.6", "--output", "x.jsonl")
    assert predict("photos", "bad.png", *options).status == 1
    found = [json.loads(line) for line in (here / "x.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [row["path"] for row in found] == [*below("photos", *NAMES), "bad.png"]
    for row, name in zip(found, NAMES, strict=False):
        order = np.argsort(-EXPECTED[name])[:2]
        assert [one["label"] for one in row["top"]] == [CLASSES[i] for i in order]
        assert row["label"] == row["top"][0]["label"]
        assert row["confidence"] == pytest.approx(EXPECTED[name].max(), abs=1e-5)
        assert row["unsure"] is bool(EXPECTED[name].max() < 0.6)
    nothing = {"label": None, "confidence": None, "top": [], "unsure": False}
    assert found[-1] == {"path": "bad.png", "reason": "not an image", **nothing}
    assert predict("photos", "--output", "x.jsonl").status == 0
    first = json.loads((here / "x.jsonl").read_text("utf-8").splitlines()[0])
    assert list(first) == ["path", "label", "confidence", "reason"]


def test_an_answer_depends_on_no_other_photo(models: Path, here: Path, predict: Predict) -> None:
    """Nor on how many there are: they are taken as they are needed, in their order."""
    data = [encoded(picture(seed, 20, 20)) for seed in range(40)]
    taken = answered = most = 0

    def found() -> Iterator[File]:
        nonlocal taken
        for number in range(3000):
            taken += 1
            yield File(str(number), data[number % 40], "")

    with open_model(str(models / "mine.xml")) as model:
        labels = []
        for answer in answer_photos(model, found(), 3):
            assert answer.path == str(answered)
            answered += 1
            most = max(most, taken - answered)
            labels.append(answer.labels)
        alone = [next(answer_photos(model, [File("", data[7], "")], 3)).labels]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert answered == 3000 and most < 200 * (cores + 2) < 3000
    assert labels[:40] * 75 == labels and labels[7] == alone[0]


@pytest.mark.parametrize(
    "arguments, message", [*CASES["wrong"], (["photos", "x" * 5000], r"\(missing\)'$")]
)
def test_what_is_wrong_is_one_message(
    predict: Predict, here: Path, arguments: list[str], message: str
) -> None:
    """And no file appears or changes."""
    os.mkfifo("pipe")
    Path("nowhere").symlink_to("nothing")
    write(here, {name: text.encode("latin-1") for name, text in CASES["files"].items()})
    pack(here / "empty.zip", {})
    pack(here / "cut.tar", PHOTOS)
    data = (here / "cut.tar").read_bytes()
    (here / "cut.tar").write_bytes(data[: data.index(PHOTOS["sub/1.jpg"]) + 20])
    (here / "gone.tar.gz").write_bytes(b"\x1f\x8b and nothing")
    before = content()
    options = [] if "--output" in arguments else ["--output", "x.csv"]
    with pytest.raises(UserError, match=message) as error:
        predict(*arguments, *options)
    assert str(error.value).count("\n") == 0
    assert content() == before


@pytest.mark.parametrize("model, message", CASES["models"])
def test_a_model_that_cannot_answer_is_refused(
    predict: Predict, here: Path, model: str, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        predict("photos", "--output", "x.csv", model=model)
    assert str(error.value).count("\n") == 0
    assert [path.name for path in here.iterdir()] == ["photos"]


def test_a_false_keras_file_is_refused(predict: Predict, models: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(models / "mine.keras") as old:
        note = old.read("graft.json")
    with zipfile.ZipFile(tmp_path / "odd.keras", "w") as new:
        new.writestr("graft.json", note)
        config = {"module": "keras", "class_name": "Functional", "config": {}}
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", (ROOT / CNN).read_bytes())
    with pytest.raises(UserError, match=r"^--model must be a model that Keras can load\. Received"):
        predict("photos", model=str(tmp_path / "odd.keras"))


@pytest.mark.parametrize("name", ["finetuned", "head"])
def test_a_missing_model_says_what_makes_it(here: Path, name: str) -> None:
    arguments = ("predict", "photos", "--model", name)
    outside = complaint(here, *arguments)
    assert outside.startswith("the model must be a file given by --model, or ")
    workspace(here)
    assert complaint(here, *arguments) == (
        f"data/models/{name}.xml is missing; `uv run snakemake --cores all` makes it"
    )
    # One of an earlier version, which does not say what it is.
    write(here, {f"data/models/{name}.xml": b"<net/>"})
    earlier = complaint(here, *arguments)
    assert earlier.startswith("`uv run snakemake --cores all` makes it anew: ")
