"""`graft export`: what it writes, that others can use it without graft, and what it refuses."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from background import Run
from cases import read_cases
from graft.common.errors import UserError
from graft.common.tables import read_json, read_table, write_table
from graft.exporting.agreement import Agreement, ProgramCheck
from graft.exporting.conversion import run_export, run_keras
from graft.exporting.facts import Facts, Request
from graft.exporting.formats import FORMATS, check_format, read_versions
from graft.exporting.originals import Originals, read_originals
from graft.exporting.program import ODD, check_program, write_program
from graft.exporting.runtimes.keras_file import write_keras
from graft.exporting.runtimes.tflite_file import write_tflite
from graft.exporting.texts import as_markdown, fill_template
from graft.images.decoding import decode
from graft.images.files import identity
from graft.models.description import read_description, write_description
from graft.models.framework import keras
from graft.models.saving import load_model, save_model
from graft.tools.export import main
from images import ROOT, SIDE, Capture, call, change, complaint, encoded, graft, picture, run, write
from trainings import COUNTS, describe, place, start, write_features

# In the order of `a`, `b` and `c`, as which the pictures are made.
CLASSES = ("a \"quoted\" '|' <b>", "b\nin `two` lines\u2028{or three}", "c,*d*,[e](f)\\, 猫")
EXPORTS = [(kind, "") for kind in FORMATS]
EXPORTS += [(kind, way) for kind, one in FORMATS.items() for way in one.quantize]
MODEL = Path("data/models/finetuned.keras")
Export = Callable[..., Path]
# What starts `use.py` where graft is not: without the files of `site`, which know it.
WITHOUT_GRAFT = """
import importlib.util, pathlib, runpy, sys
sys.path.append(sys.argv.pop(1))
assert importlib.util.find_spec("graft") is None
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose small network was fine-tuned and evaluated, with odd names of classes."""
    folder = tmp_path_factory.mktemp("export")
    with chdir(folder):
        place({"finetune.epochs": 3, "finetune.unfreeze": 9})
        split = read_table(Path("data/split.csv"))
        split["label"] = split["label"].map(dict(zip("abc", CLASSES, strict=True)))
        write_table(Path("data/split.csv"), split)
        run("backbone")
        run("views")
        start()
        run("finetune")
        write_features()
        run("evaluate", "finetuned")
    return folder


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where the test is."""
    folder = shutil.copytree(built, tmp_path / "project", ignore=shutil.ignore_patterns("exports"))
    monkeypatch.chdir(folder)
    return folder


def need(kind: str, way: str = "") -> None:
    """Skips a test whose extra is not installed."""
    try:
        check_format(kind, way)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def export(built: Path) -> Export:
    """Makes an export in the project, once: its folder."""

    def make(kind: str, way: str = "") -> Path:
        need(kind, way)
        name = f"exports/{kind}-{way}" if way else f"exports/{kind}"
        if not (built / name).exists():
            with chdir(built):
                main(["--format", kind, *(["--quantize", way] if way else [])])
        return built / name

    return make


def photos() -> Iterator[tuple[str, bytes]]:
    """Photos of many kinds, larger than the model's images."""
    colour = Image.fromarray(picture(1, 200, 333))
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.jpg", encoded(colour, "JPEG", exif=exif)
    clear = colour.convert("RGBA")
    clear.putalpha(Image.fromarray(picture(2, 200, 333)[..., 0]))
    yield "clear.png", encoded(clear)
    yield "grey.webp", encoded(colour.convert("L"), "WEBP", lossless=True)
    yield "palette.gif", encoded(colour, "GIF")
    yield "print.jpg", encoded(colour.convert("CMYK"), "JPEG")
    yield "tall.bmp", encoded(picture(3, 90, 40), "BMP")
    yield "small.png", encoded(picture(4, 20, 17))


def use(folder: Path, *photos: Path) -> dict[str, dict[str, Any]]:
    """What `use.py` says of photos, in a Python without graft, by their paths."""
    command = [sys.executable, "-I", "-S", "-B", "-c", WITHOUT_GRAFT, sysconfig.get_path("purelib")]
    ended = call(*command, folder / "use.py", "--json", *photos)
    said = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == any("reason" in one for one in said), ended.stderr
    return {one["path"]: one for one in said}


@pytest.fixture(scope="module")
def used(export: Export, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """What the `use.py` of an export says of all photos, in one run: the folder, and by path."""
    folder = tmp_path_factory.mktemp("used")
    write(folder / "photos", dict(photos()))

    @cache
    def ask(kind: str, way: str) -> tuple[Path, dict[str, dict[str, Any]]]:
        return folder, use(export(kind, way), *sorted((folder / "photos").iterdir()))

    return ask


@pytest.mark.parametrize(("kind", "way"), EXPORTS)
def test_an_export_knows_photos_where_it_can(
    export: Export, used: Callable[..., Any], kind: str, way: str
) -> None:
    """And then `use.py` takes the same ones for something else as graft does."""
    folder = export(kind, way)
    known = folder / "model.unknown.npz"
    listed = json.loads((folder / "model.json").read_text("utf-8"))["files"]
    assert known.exists() == (known.name in listed) == (kind in ("keras", "openvino") and not way)
    if not known.exists():
        return
    top, answered = used(kind, way)
    model = ("--model", str(folder / FORMATS[kind].model), "--output", "-")
    status, out, errors = graft(top, "predict", "photos", "--unknown", *model)
    assert status == 0, errors
    rows = read_table(io.StringIO(out)).set_index("path")
    assert len(rows) == len(answered) == len([*photos()])
    for path, said in answered.items():
        row = rows.loc[Path(path).relative_to(top).as_posix()]
        assert row["unknown"] == ("yes" if said["unknown"] else "no")


def answers(pixels: np.ndarray, folder: Path) -> np.ndarray:
    """The probabilities of the project's own model: float32 (n, classes)."""
    return run_keras(folder / MODEL, pixels)


@pytest.mark.parametrize(("kind", "way"), EXPORTS)
def test_an_export_is_used_without_graft(
    built: Path, used: Callable[..., Any], kind: str, way: str
) -> None:
    name, data = next(photos())
    top, answered = used(kind, way)
    (expected,) = answers(decode(data, SIDE).pixels[None], built)
    said = answered[str(top / "photos" / name)]
    assert tuple(said["probabilities"]) == CLASSES
    found = np.array([*said["probabilities"].values()])
    assert said["label"] == CLASSES[found.argmax()] and said["confidence"] == found.max()
    assert found == pytest.approx(expected, abs=0.15 if way else 2e-4)


def facts_of(kind: str, quantize: str = "", **about: Any) -> Facts:
    """What might be known of an export, of 100 test images."""
    chosen = kind, quantize, MODEL, Path("x"), describe(**about), None
    request = Request(
        *chosen, metrics={}, training={}, parameters={}, licence="unknown", accept_loss=False
    )
    found = Agreement(100, 90, 0.3, 0.98, 0.965, 0.9, 0.99, 0.3)
    program = ProgramCheck(3, ("JPEG",), "", 29, 4, 1e-6)
    known = 300, (), 10**6, "1.0", {"dtype": "uint8"}, {"dtype": "float32"}
    return Facts(request, {}, found, program, *known)


@pytest.mark.parametrize("background", ["white", "#0080ff"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_the_program_decodes_as_graft_does(tmp_path: Path, fit: str, background: str) -> None:
    write_program(facts_of("openvino").request, tmp_path, "")
    given = {"shape": [None, SIDE, SIDE, 3], "fit": fit, "background": background}
    about = {"classes": [], "input": given | {"white_level": "auto"}}
    (tmp_path / "model.json").write_text(json.dumps(about), encoding="utf-8")
    code = "import sys, use; sys.stdout.buffer.write(use.read_pixels(sys.stdin.buffer.read()))"
    _, data = next(photos())
    command = [sys.executable, "-B", "-c", code]
    ended = subprocess.run(command, input=data, cwd=tmp_path, capture_output=True)
    assert ended.stdout == decode(data, SIDE, fit, background).pixels.tobytes(), ended.stderr


def test_the_program_answers_as_graft_does(export: Export, tmp_path: Path) -> None:
    """For every kind of file, also in folders; what graft refuses it refuses with the reason."""
    folder = export("openvino")
    files = {path.name: path.read_bytes() for path in ODD.iterdir()} | dict(photos())
    write(tmp_path / "some/below", {"n\n\x1b.txt": b"text", ".hidden": b"no"} | files)
    model = ("--model", str(folder / "model.xml"), "--output", "answers.jsonl")
    assert graft(tmp_path, "predict", "some", *model)[0] == 1
    with (tmp_path / "answers.jsonl").open(encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    found = use(folder, tmp_path / "some", tmp_path / "none.jpg")
    assert found.pop(str(tmp_path / "none.jpg"))["reason"] == "missing"
    assert len(found) == len(expected) == len(files) + 1
    shown = {Path(path).name: one for path, one in found.items()}
    for own in expected:
        name = Path(own["path"]).name.encode("unicode_escape").decode()
        assert shown[name].get("reason", "") == (own.get("reason") or ""), name
        if "reason" not in shown[name]:
            assert shown[name]["label"] == own["label"], name
            assert shown[name]["confidence"] == pytest.approx(own["confidence"], abs=1e-5), name

    program = (sys.executable, "-B", folder / "use.py")
    plain = call(*program, *sorted((tmp_path / "some").rglob("*.jpg")))
    assert plain.returncode == 1 and "cut.jpg: cannot be read: truncated" in plain.stderr
    assert re.search(r"/progressive\.jpg: .* [01]\.\d{4}$", plain.stdout, re.MULTILINE)
    assert "Traceback" not in plain.stderr and "\x1b" not in plain.stdout + plain.stderr
    usage = call(*program)
    assert usage.returncode == 2 and usage.stderr.startswith("usage: use.py")


def test_an_export_whose_program_answers_otherwise_is_not_written(
    built: Path, tmp_path: Path, export: Export
) -> None:
    """As it would with another way to decode, or if it ended in an error."""
    folder = shutil.copytree(export("openvino"), tmp_path / "export")
    request = facts_of("openvino").request._replace(
        model=built / MODEL, description=read_description(built / MODEL)
    )
    originals = Originals((next(photos())[1],), ("JPEG",))
    check = check_program(request, folder, originals)
    assert (check.originals, check.odd) == (1, len([*ODD.iterdir()])) and check.refused
    program = (folder / "use.py").read_text(encoding="utf-8")
    for before, after, says in (
        ("pixels[None]", "pixels[None, ::-1]", "must answer as graft does"),
        ("sys.exit(main())", "sys.exit('ended')", "must answer for each file"),
    ):
        assert before in program
        (folder / "use.py").write_text(program.replace(before, after), encoding="utf-8")
        with pytest.raises(UserError, match=says):
            check_program(request, folder, originals)


def test_originals_are_of_each_kind(here: Path) -> None:
    files = dict(photos())
    many = {f"a/{number}.png": encoded(picture(number)) for number in range(30)}
    write(here / "raw", {**many, **{f"b/{name}": data for name, data in files.items()}})
    wanted = {path.relative_to("raw").as_posix(): path for path in Path("raw").rglob("*.*")}
    ids = {name: identity(path.read_bytes()) for name, path in wanted.items()}
    (here / "raw/a/7.png").write_bytes(encoded(picture(99)))  # another one since
    found = read_originals("raw", ids)
    assert len(found.files) == 12 and len(found.kinds) == 7 and not found.problem
    assert {*files.values()} - {*found.files} <= {files["small.png"]}  # of a kind with many others
    assert encoded(picture(99)) not in found.files
    assert "raw2" in read_originals("raw2", ids).problem


def test_the_server_of_the_docs(export: Export, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="needs `uv run --group server pytest`")
    folder = shutil.copytree(export("openvino"), tmp_path / "export")
    text = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (folder / "server.py").write_text(program, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "server:app", "--port", port]
    server = Run(command, folder, os.environ)
    try:
        assert server.wait_until(lambda: "running on" in server.text), server.text
        name, data = next(photos())
        (tmp_path / name).write_bytes(data)
        status, answer = post_photo(port, data)
        (expected,) = use(folder, tmp_path / name).values()
        del expected["path"]
        assert (status, answer) == (200, expected)
        assert post_photo(port, b"no picture") == (422, {"detail": "not an image"})
    finally:
        server.kill()


def post_photo(port: str, data: bytes) -> tuple[int, Any]:
    """Sends a file as a form does: the status, and what is answered."""
    head = 'Content-Disposition: form-data; name="photo"; filename="x"'
    body = b"\r\n".join([b"--edge", head.encode(), b"", data, b"--edge--", b""])
    form = {"Content-Type": "multipart/form-data; boundary=edge"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/classify", body, form)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(("kind", "way"), EXPORTS)
def test_what_is_said_of_an_export_is_so(export: Export, built: Path, kind: str, way: str) -> None:
    """Run again on all test images, in its own runtime."""
    folder = export(kind, way)
    split = read_table(built / "data/split.csv")
    test = split[split["part"] == "test"]
    checked = pd.concat(read_table(path) for path in sorted((built / "data/checked").iterdir()))
    tensors = np.concatenate([np.load(p) for p in sorted((built / "data/tensors").iterdir())])
    places = [checked["id"].tolist().index(one) for one in test["id"]]
    labels = np.array([CLASSES.index(label) for label in test["label"]])
    pixels = tensors[places]
    found, expected = run_export(kind, folder, pixels), answers(pixels, built)
    said = read_json(folder / "model.json")["checked"]
    assert said["n"] == len(labels) == COUNTS["test"]
    assert said["equal"] == (found.argmax(1) == expected.argmax(1)).sum()
    assert said["before"] == pytest.approx((expected.argmax(1) == labels).mean(), abs=1e-6)
    assert said["after"] == pytest.approx((found.argmax(1) == labels).mean(), abs=1e-6)
    assert said["low"] < said["after"] <= said["high"]
    assert said["difference"] == pytest.approx(np.abs(found - expected).max(), rel=0.1, abs=2e-5)
    assert said["difference"] < (0.15 if way else 1e-4)


def weight(folder: Path) -> int:
    """The bytes of an export's model."""
    name = read_json(folder / "model.json")["model"].replace(".xml", ".bin")
    return (folder / name).stat().st_size


@pytest.mark.parametrize("kind", [kind for kind, one in FORMATS.items() if one.quantize])
def test_a_quantised_model_is_smaller(export: Export, kind: str) -> None:
    for way, share in (("float16", 0.55), ("int8", 0.4)):
        assert weight(export(kind, way)) < share * weight(export(kind))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_names_of_the_classes_are_beside_and_within(export: Export, kind: str) -> None:
    folder = export(kind)
    lines = (folder / "labels.txt").read_bytes().decode("utf-8").splitlines()
    assert lines == [" ".join(re.split("[\n\u2028]", name)) for name in CLASSES]
    about = read_json(folder / "model.json")
    assert tuple(about["classes"]) == CLASSES
    assert sorted(about["files"]) == sorted(path.name for path in folder.iterdir())
    side = [None if kind != "tflite" else 1, SIDE, SIDE, 3]
    assert (about["input"]["shape"], about["input"]["dtype"]) == (side, "uint8")
    match kind:
        case "keras" | "openvino":
            inside = read_description(folder / about["model"]).classes
        case "saved_model":
            text = (folder / "model/assets.extra/model.json").read_text(encoding="utf-8")
            inside = json.loads(text)["classes"]
        case "onnx" | "web":
            import onnx

            props = onnx.load(folder / "model.onnx").metadata_props
            notes = {note.key: note.value for note in props}
            assert tuple(json.loads(notes["graft"])["classes"]) == CLASSES
            inside = json.loads(notes["classes"])
        case "tflite":
            with zipfile.ZipFile(folder / "model.tflite") as archive:
                assert archive.read("labels.txt") == (folder / "labels.txt").read_bytes()
                inside = json.loads(archive.read("model.json"))["classes"]
    assert tuple(inside) == CLASSES


def test_a_keras_file_says_nothing_of_training(export: Export, built: Path, tmp_path: Path) -> None:
    """Which older versions of Keras would not know; the weights are the same bytes."""
    inputs = keras.Input((8, 8, 3))
    flipped = keras.ops.flip(inputs, axis=-1)
    normal = keras.layers.BatchNormalization()(flipped)
    convolved = keras.layers.Conv2D(2, 3, kernel_regularizer="l2", kernel_initializer="ones")(
        normal
    )
    save_model(keras.Model(inputs, convolved), tmp_path / "own.keras")
    write_keras(tmp_path / "own.keras", tmp_path / "lean.keras")
    pairs = (
        (tmp_path / "own.keras", tmp_path / "lean.keras"),
        (
            built / MODEL,
            export("keras") / "model.keras",
        ),
    )
    for source, lean in pairs:
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(lean) as new:
            assert old.namelist() == new.namelist()
            for name in set(old.namelist()) - {"config.json"}:
                assert old.read(name) == new.read(name)
            before, text = (one.read("config.json").decode() for one in (old, new))
        training = "_initializer|_regularizer|_constraint|input_axes|renorm|quantization_config"
        assert re.search(training, before) and not re.search(training, text)
        pixels = np.random.default_rng(1).random((2, *load_model(source).input_shape[1:]))
        assert (run_keras(source, pixels) == run_keras(lean, pixels)).all()
    with zipfile.ZipFile(tmp_path / "lean.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    (flip,) = (one for one in layers if one["class_name"] == "Flip")
    assert flip["config"] == {"axis": -1} and flip["name"] == "flip"


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("kind, way", [("keras", ""), ("openvino", "float16"), ("onnx", "int8")])
def test_the_card_is_one(export: Export, built: Path, kind: str, way: str) -> None:
    folder = export(kind, way)
    empty, matter, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    known, about = yaml.safe_load(matter), read_json(folder / "model.json")
    assert empty == "" and known["license"] == "unknown"
    assert known["pipeline_tag"] == "image-classification"
    assert known["library_name"] == FORMATS[kind].library
    assert set(filter(None, [way, "graft"])) <= set(known["tags"])
    ((result,),) = (model["results"] for model in known["model-index"])
    (metric,) = result["metrics"]
    measured = read_json(built / "reports/finetuned/metrics.json")
    assert metric["value"] == (about["checked"]["after"] if way else measured["accuracy"])
    assert (metric["type"], metric["args"]["images"]) == ("accuracy", COUNTS["test"])
    assert result["task"]["type"] == "image-classification"

    titles = re.findall("^## (.*)$", text, flags=re.MULTILINE)
    assert titles == ["How to use", "Data", "Split", "Metrics", "Limits", "Licence"]
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {2, 4, 3}
    split = read_table(built / "data/split.csv")
    for name in CLASSES:
        mine = split[split["label"] == name]["part"]
        counts = [str((mine == part).sum()) for part in ("train", "valid", "test")]
        assert [as_markdown(name), *counts] in rows
    assert "was put into a part by a hash of it, with the shares\n" in text
    assert about["run_in"] == read_versions(kind, way)
    (run_in,) = (row[1] for row in rows if row[0] == "run in")
    runtime = FORMATS[kind].runtime
    assert f"{runtime} {about['run_in'][runtime]}" in run_in
    assert "<" not in text and "&lt;b&gt;" in text
    assert read_description(built / MODEL).data in text
    (accuracy,) = (row for row in rows if row[0] == "accuracy")
    ends = [f"{100 * measured[f'accuracy{end}']:.1f} %" for end in ("", "_low", "_high")]
    assert accuracy == ["accuracy", ends[0], "–".join(ends[1:])]


def test_the_command_says_what_it_found(built: Path, capsys: Capture) -> None:
    with chdir(built):
        main(["--format", "openvino", "--quantize", "float16", "--licence", "cc-by-4.0"])
        out = capsys.readouterr().out
        card = Path("exports/openvino-float16/README.md").read_text(encoding="utf-8")
        shutil.rmtree("exports/openvino-float16")
    first, second, files, refused, third, last = out.splitlines()
    assert re.fullmatch(r"exports/openvino-float16/model\.xml: \d\.\d\d MB", first)
    equal = "on 12 test images: the label is the pip.*"
    assert re.search(rf"run in openvino 20\S+ {equal} 1?\d, ", second)
    assert re.search(r"accuracy \d+\.\d %, before \d+\.\d %$", third)
    # The raw images of this project are not there.
    assert "use.py was run on 29 odd files, and on no original ones: " in files
    assert (
        "it refuses the 4 that graft refuses, and answers for the others as graft does" in refused
    )
    assert "use.py PHOTO" in last
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "cc-by-4.0"


def test_a_loss_is_a_warning() -> None:
    facts = facts_of("onnx", "int8")
    said = fill_template("said.txt", facts)
    assert "  warning: int8 costs 1.5 percentage points of accuracy, which may be chance (p" in said
    facts = facts._replace(agreement=facts.agreement._replace(after=0.975))
    assert "warning" not in fill_template("said.txt", facts)


def test_a_loss_above_chance_must_be_accepted(project: Path, capsys: Capture) -> None:
    """Here a model that always says the last class; the pipeline is said to be always right."""
    split = read_table(Path("data/split.csv"))
    test = split["part"] == "test"
    model, about = load_model(MODEL), read_description(MODEL)
    head = model.layers[-1]
    head.set_weights([*head.get_weights()[:-1], np.float32([0, 0, 1000])])
    save_model(model, MODEL)
    write_description(MODEL, about)
    labels = [CLASSES.index(label) for label in split["label"][test]]
    file = Path("data/predictions/finetuned.npy")
    right = np.load(file)
    right[-len(labels) :] = np.eye(3)[labels]
    np.save(file, right)
    command = ["--format", "openvino", "--quantize", "float16"]
    with pytest.raises(SystemExit, match=r"^1$"):
        main(command)
    said = capsys.readouterr().err.splitlines()[-1]
    lost = 100 * (1 - labels.count(2) / len(labels))
    assert f"float16 costs {lost:.1f} percentage points of accuracy on 12 test images, more" in said
    assert "nothing was written" in said and said.endswith("or with --accept-loss")
    assert not list(Path("exports").iterdir())
    main([*command, "--accept-loss"])
    said = capsys.readouterr().out
    assert (
        f"warning: float16 costs {lost:.1f} percentage points of accuracy, more than chance" in said
    )
    assert "was accepted" in Path("exports/openvino-float16/README.md").read_text("utf-8")


def test_full_int8_has_whole_numbers_alone(export: Export, tmp_path: Path) -> None:
    """Layers that need others are refused; scales are beside the model, within and in its card."""
    folder = export("tflite", "full-int8")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "model.tflite"))
    assert {np.dtype(one["dtype"]).kind for one in interpreter.get_tensor_details()} == {"i"}
    about, card = read_json(folder / "model.json"), (folder / "README.md").read_text("utf-8")
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        inside = json.loads(archive.read("model.json"))
    assert (about["input"]["scale"], about["input"]["zero_point"]) == (1, -128)
    ends = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for part, found in zip(("input", "output"), ends, strict=True):
        assert (about[part]["dtype"], found["dtype"]) == ("int8", np.int8)
        assert (about[part]["scale"], about[part]["zero_point"]) == found["quantization"]
        assert inside[part] == about[part]
        assert f"{about[part]['scale']} · (number − {about[part]['zero_point']})" in card
    pixels = keras.Input((SIDE, SIDE, 3))
    flat = keras.layers.Flatten()(keras.layers.LayerNormalization()(pixels))
    model = keras.Model(pixels, keras.layers.Dense(3, "softmax")(flat))
    request = facts_of("tflite", "full-int8").request
    calibration = np.random.default_rng(1).integers(0, 256, (8, SIDE, SIDE, 3), dtype=np.uint8)
    with pytest.raises(UserError, match=r"--quantize full-int8 must be .* tensors of float32'$"):
        write_tflite(model, tmp_path / "model.tflite", request, calibration)


def test_what_answers_otherwise_is_not_written(project: Path) -> None:
    """Here the pipeline's answers are other ones, which is the same."""
    file = Path("data/predictions/finetuned.npy")
    right = np.load(file)
    for answers_, said in (
        (right[:, ::-1], r"as the pipeline did, within 0\.0001 .* another label for "),
        (right + np.float32(2e-4), r"a difference of 0\.0002, and another label for 0 of 12 "),
        (right[:5], r"run the pipeline again\. Received: 5 rows"),
    ):
        np.save(file, answers_)
        with pytest.raises(UserError, match=said):
            main(["--format", "openvino"])
    assert not Path("exports").exists() or not list(Path("exports").iterdir())
    np.save(file, right)
    main(["--format", "openvino"])
    before = Path("exports/openvino/model.json").stat().st_ino
    np.save(file, right[:, ::-1])
    with pytest.raises(UserError, match="as the pipeline did"):
        main(["--format", "openvino"])
    assert Path("exports/openvino/model.json").stat().st_ino == before


def test_an_earlier_export_is_replaced_and_nothing_else(project: Path) -> None:
    where = Path("out/of/export")
    make = lambda: main(["--format", "openvino", "--output", str(where)])  # noqa: E731
    where.mkdir(parents=True)
    make()
    inode = (where / "model.json").stat().st_ino
    make()
    assert (where / "model.json").stat().st_ino != inode
    assert [path.name for path in where.parent.iterdir()] == ["export"]
    (where / "mine.txt").write_text("notes")
    with pytest.raises(UserError, match=r"nothing was added\. .*: 'an export with mine\.txt'"):
        make()
    (where / "model.json").write_text("[")
    with pytest.raises(UserError, match=r"or an earlier export\. Received: 'a folder with README"):
        make()
    assert (where / "mine.txt").read_text() == "notes"
    Path("link").symlink_to(where)
    reasons = {"params.yaml": "a file", "link": "a link", "data": "a folder with"}
    for place_, reason in reasons.items():
        with pytest.raises(UserError, match=f"--output {place_} must be a new .*{reason}"):
            main(["--format", "openvino", "--output", place_])
    with pytest.raises(UserError, match=r"in a folder to write to\. Received: .*params\.yaml'"):
        main(["--format", "openvino", "--output", "params.yaml/x"])


def test_another_model_of_the_same_images(project: Path) -> None:
    shutil.move(MODEL, "mine.keras")
    with pytest.raises(UserError, match=r"Received: no data/models/finetuned\.keras$"):
        main(["--format", "openvino"])
    # What the pipeline predicted is not looked at.
    np.save("data/predictions/finetuned.npy", np.zeros((24, 3), np.float32))
    change(Path(), {"split.kind": "stratified"})
    main(["--format", "openvino", "--model", "mine.keras"])
    about = read_json(Path("exports/openvino/model.json"))
    assert about["checked"]["equal"] == COUNTS["test"]
    card = Path("exports/openvino/README.md").read_text(encoding="utf-8")
    assert "was put into a part so that each class has the shares\n" in card
    rows = [cells(line)[0] for line in card.splitlines() if line.startswith("|")]
    assert "accuracy" in rows and "log loss" not in rows and "training" not in rows
    about = read_description(Path("mine.keras"))
    write_description(Path("mine.keras"), replace(about, data="1" * 64))
    for model, message in (
        ("mine.keras", r"the split of this project.*Received: '111111111111…'"),
        ("data/models/head.keras", "a model from pixels, .* 'a model from features'"),
        ("none.keras", "a model that graft made, .*no such file"),
        ("data/backbone/network.keras", "a file without"),
        ("params.yaml", r"--model must be a \.keras file that graft made"),
    ):
        with pytest.raises(UserError, match=message):
            main(["--format", "openvino", "--model", model])


@pytest.mark.parametrize("arguments, message", read_cases(__file__)["wrong"])
def test_what_is_wrong_is_one_message(project: Path, arguments: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        main(arguments.split())
    assert "\n" not in str(error.value)
    assert not Path("exports").exists()


@pytest.mark.parametrize(
    ("kind", "way", "package"),
    [("onnx", "", "tf2onnx"), ("openvino", "int8", "nncf"), ("tflite", "int8", "ai_edge_litert")],
)
def test_a_missing_extra_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, kind: str, way: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not there
    arguments = f"--format {kind}{f' --quantize {way}' if way else ''}"
    command = f"uv run --extra {FORMATS[kind].extra} graft export {arguments}"
    with pytest.raises(UserError, match=rf"`{command}`, or `uv sync --extra .* no .*{package}"):
        main(arguments.split())


def test_a_damaged_export_of_another_kind_is_no_answer(project: Path) -> None:
    """Weights that are not finite are refused whatever they are quantised to."""
    model, about = load_model(MODEL), read_description(MODEL)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    save_model(model, Path("nan.keras"))
    write_description(Path("nan.keras"), about)
    with pytest.raises(UserError, match="a finite probability for each class; nothing was written"):
        main(["--format", "openvino", "--quantize", "float16", "--model", "nan.keras"])
    assert not list(Path("exports").iterdir())


@pytest.mark.parametrize(
    ("kind", "way"), [("keras", ""), *(("openvino", way) for way in ("", "float16", "int8"))]
)
def test_predict_answers_with_an_export(
    export: Export, built: Path, tmp_path: Path, kind: str, way: str
) -> None:
    """Also from a folder that is no project; the graph takes bytes, those of graft take floats."""
    model = shutil.copytree(export(kind, way), tmp_path / "model") / FORMATS[kind].model
    found = dict(photos())
    write(tmp_path / "photos", found)
    arguments = ("photos", "--model", str(model), "--output", "found.csv")
    status, _, errors = graft(tmp_path, "predict", *arguments)
    assert status == 0, errors
    rows = read_table(tmp_path / "found.csv").to_dict("records")
    assert {Path(row["path"]).name for row in rows} == set(found)
    for row in rows:
        data = found[Path(row["path"]).name]
        (expected,) = answers(decode(data, SIDE).pixels[None], built)
        own = pytest.approx(expected[CLASSES.index(row["label"])], abs=0.15 if way else 2e-4)
        assert float(row["confidence"]) == own


@pytest.mark.parametrize("kind", ["saved_model", "onnx", "tflite"])
def test_predict_refuses_an_export_for_another_runtime(export: Export, kind: str) -> None:
    folder = export(kind, "")
    arguments = ("photos.zip", "--model", str(folder / FORMATS[kind].model))
    write(folder.parent, {"photos.zip": b""})
    said = complaint(folder.parent, "predict", *arguments)
    assert "--model must be finetuned, head, or a model file (.keras, .xml)" in said
