"""What new users do wrong: each ends with one short message, the last on the screen.

Nothing is left half-written, and what can be known without decoding is said before anything is
decoded.
"""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import h5py
import numpy as np
import pytest

from commands import Command
from graft.cli import find_tools
from graft.project.choices import divide
from graft.project.pipeline import stage_names
from graft.project.recipes import compose_parameters
from images import ROOT, change, classes, content, encoded, listing, picture, run, write
from packing import pack
from repositories import commit, git

PETS = {"cat": 4, "dog": 4}
PARAMETERS = compose_parameters("photos", {"dataset.path": "pets", "backbone.weights": "none"})
LONGEST = 700  # characters of a message


class Misuse(NamedTuple):
    """What someone does, and what is said.

    Attributes:
        what: in words.
        command: what follows `graft`. Spaces divide its words; write `_` for a space in a word.
        said: a pattern of the message.
        changes: of params.yaml by hand, before the command.
    """

    what: str
    command: str
    said: str
    changes: Mapping[str, object] = MappingProxyType({})


MANIFEST = "manifest --shards 4"
# Of a data set, what its list of files tells is said by the first stage after it.
AFTER = "tensors 0"


def images(path: str, **more: object) -> dict[str, object]:
    return {"dataset.path": path, **{f"dataset.{key}": value for key, value in more.items()}}


def network(weights: str) -> dict[str, object]:
    file = f"data/pretrained/{weights}.h5"
    return {"backbone.name": "MobileNetV2", "backbone.weights": file}


SET = "use photos --set "
ARCHIVE = r"\(an archive in it, and no class folder: give the path of 'pets\.zip', or unpack it\)$"
TWELVE = r"must be weights of MobileNetV2 without its classifier.* with 12 numbers"
LOOSE = r"'loose' \(5 images loose in it, and no class folder\)$"
ONE_CLASS = r"images of two classes or more, .*Received: \"class 'cat' alone\"$"
ROWS = [
    # graft use
    ("a wrong path", "use photos --images pet", r"exists \(did you mean .*/pets\?\)"),
    ("no path", "use photos --images=", r"--images must be a file or folder that exists"),
    ("~ and a wrong path", "use photos --images ~/none", r"exists.*'.*/none'$"),
    ("the project itself", "use photos --images .", r"the project is in this one"),
    ("a folder around it", "use photos --images ..", r"the project is in this one"),
    ("the whole disk", "use photos --images /", r"must be a folder of images: the project is"),
    ("small letters", "use photos --network vgg16", r"did you mean VGG16\?\)\. .*: 'vgg16'$"),
    ("a near choice", "use photos --network bst", r"\(did you mean best\?\)\. .*: 'bst'$"),
    ("no such recipe", "use photo", r"a recipe must be one of .*did you mean photos\?"),
    ("a path for a recipe", "use ../../params", r"a recipe must be one of .*Received: "),
    ("a path alone", "use photos pets", r"it takes no pets\. Right is `graft use photos --i"),
    ("a space for =", SET + "head.epochs 3", r"it takes no 3\. "),
    ("no value", SET + "head.epochs", r"--set must be KEY=VALUE, such as"),
    ("no YAML", SET + "head.epochs=[", r"--set head\.epochs must be YAML.*Received: "),
    ("a misspelled key", SET + "head.epoch=3", r"did you mean epochs\?\)\. .*: 'epoch'$"),
    ("a key alone", SET + "epochs=3", r"did you mean head\.epochs or finetune\.epochs\?"),
    ("no such section", SET + "nothing.x=1", r"nothing is unknown; it must be one of dataset"),
    ("a section for a key", SET + "head=3", r"head must be a section with the keys.*: 3$"),
    ("a word for a number", SET + "head.epochs=ten", r"epochs must be a whole number .*'ten'$"),
    ("a fraction", SET + "head.epochs=3.0", r"head\.epochs must be a whole number .*: 3\.0$"),
    (
        *("a comma for a point", SET + "finetune.learning_rate=0,001"),
        r"a number above 0, at most 10\. Received: '0,001'$",
    ),
    ("a side too small", SET + "image.side=16", r"from 32 to 1024 pixels for Mob"),
    ("shares above 1", SET + "split.train=0.9", r"shares that sum to 1\. .*= 1\.2"),
    ("no layer", SET + "finetune.unfreeze=half", r"layer or block of MobileNetV2"),
    ("~ as a value", SET + "dataset.path=~/pets", r"a path without ~, which `graft"),
    ("quotes lost", SET + "dataset.classes=cat,dog", r"all, or a list of two"),
    ("small letters to set", SET + "backbone.name=mobilenetv2", r"did you mean MobileNetV2\?"),
    (
        *("weights elsewhere", SET + "backbone.weights=elsewhere/w.h5"),
        r"none, imagenet, or a file data/pretrained/\*\.h5",
    ),
    ("a near option", "use photos --netwrok fast", r"it takes no --netwrok.*--network\?"),
    # params.yaml by hand
    ("~ by hand", MANIFEST, r"a path without ~, which `graft use", images("~/pets")),
    ("a wrong path by hand", MANIFEST, r"did you mean .*/pets\?", images("pest")),
    ("a near name", "split", r"did you mean MobileNetV2\?", {"backbone.name": "mobilenetv2"}),
    (
        "missing weights",
        "backbone",
        r"weights must be a file or folder that exists",
        network("none"),
    ),
    ("weights of another network", "backbone", TWELVE, network("other")),
    # the data
    ("an archive in the folder", MANIFEST, ARCHIVE, images("zipped")),
    ("loose images", MANIFEST, LOOSE, images("loose")),
    ("the folder of a class", MANIFEST, r"did you mean pets, which has", images("pets/cat")),
    ("an empty folder", MANIFEST, r"'empty' \(nothing in it\)$", images("empty")),
    ("no images", MANIFEST, r"'texts' \(1 file in it, none an image\)$", images("texts")),
    ("a cut archive", MANIFEST, r"'cut\.zip \(a \.zip that is cut off", images("cut.zip")),
    ("no such archive", MANIFEST, r"a folder of class folders, an arch", images("n.zip")),
    ("a photo", MANIFEST, r"a folder of class folders, an a", images("pets/cat/0.png")),
    ("no column label", MANIFEST, r"path and label among them.*'path,kind'", images("k.csv")),
    ("one class", AFTER, ONE_CLASS, images("one")),
    ("a class of one", AFTER, r"of class 'dog' must be 3 or more, .*: 1$", images("few")),
    (
        "a mistyped class",
        AFTER,
        r"dataset\.classes must be .*some of 'cat', 'dog' \(did you mean 'dog'\?\)\. .*: 'dgo'$",
        images("pets", classes=["cat", "dgo"]),
    ),
    # graft STAGE
    ("a stage out of order", "head", r"`uv run dvc repro head` runs the stages before it"),
    ("no shard", "tensors", r"a stage must be one of tensors 0, tensors 1"),
    ("no command", "trian", r"a command must be one of classify, .*: 'trian'$"),
    # graft predict, before there is a model
    ("no model yet", "predict pets", r"`uv run snakemake --cores all` makes it"),
    ("no such photo", "predict pets/cat/00.png", r"did you mean .*/pets/cat/0\.png\?"),
    ("nothing to predict", "predict", r"are required: PHOTO\. Right is `graft predict"),
    ("per cent", "predict pets --unsure 90", r"above 0 and at most 1, such as 0\.9"),
    ("a sign", "predict pets --unsure 90%", r"--unsure: must be a number.*: '90%'"),
    ("no such folder", "predict pets --output no/x.csv", r"a file in a folder that is ther"),
    ("a table", "predict pets --output x.xlsx", r"a file \.csv or \.jsonl"),
    ("a network", "predict pets --model VGG16", r"finetuned, head, or a model file"),
    ("an empty folder of photos", "predict empty", r"\(an empty folder\)"),
    # graft export
    ("a near format", "export --format onx", r"did you mean onnx\?"),
    ("a near type", "export --format keras --quantize in8", r"did you mean int8\?"),
    ("a format alone", "export keras", r"it takes no keras\. Right is `uv run --extra onnx"),
    ("nothing to export", "export --format keras", r"`uv run snakemake --cores all`, then"),
    ("no folder", "export --format keras --output k.csv", r"or empty folder.*a file"),
    # the other commands
    ("small letters", "classify pets --backbone vgg16", r"did you mean VGG16\?"),
    ("no such file", "classify pets --weights no.h5", r"--weights must be .*no such file"),
    ("no such commit", "compare HEAD~9", r"a commit, branch, tag or experiment of this"),
    ("another word", "verify --fix", r"it takes no --fix\. Right is `graft verify --repair`"),
]
MISUSES = [Misuse(*row) for row in ROWS]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has never run, and what people have beside their images."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dvc.yaml", "workflow/recipes/photos.yaml"):
        write(folder, {name: (ROOT / name).read_bytes()})
    divide(4, folder)
    write(folder / "pets", classes(PETS))
    write(folder / "one", classes({"cat": 4}))
    write(folder / "few", classes({"cat": 4, "dog": 1}))
    write(folder / "loose", {f"{number}.png": encoded(picture(number)) for number in range(5)})
    write(folder, {"texts/notes.txt": b"of last summer", "k.csv": b"path,kind\na.png,cat\n"})
    for name in ("empty", "zipped"):
        (folder / name).mkdir()
    pack(folder / "zipped/pets.zip", classes(PETS))
    (folder / "cut.zip").write_bytes((folder / "zipped/pets.zip").read_bytes()[:-400])
    (folder / "data/pretrained").mkdir(parents=True)
    with h5py.File(folder / "data/pretrained/other.h5", "w") as file:
        file["layer/kernel"] = np.zeros(12)
    (folder / "params.yaml").write_text(PARAMETERS, encoding="utf-8")
    git(folder, "init", "--quiet")
    commit(folder, "start")
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project as it is at first, where the test is."""
    monkeypatch.chdir(place)
    (place / "params.yaml").write_text(PARAMETERS, encoding="utf-8")
    (place / "data/manifest.csv").unlink(missing_ok=True)
    return place


def check_message(command: str, status: int, shown: str) -> str:
    """Holds what a command shows to be one message, at the end, and returns it."""
    assert status == 2, shown
    assert "Traceback" not in shown
    start = f"graft {command}: error: "
    assert shown.count(start) == 1
    message = shown[shown.index(start) + len(start) :]
    assert message.endswith("\n")
    assert message.count("\n") == 1 and len(message) <= LONGEST
    return message.rstrip("\n")


@pytest.mark.parametrize("misuse", MISUSES, ids=lambda misuse: misuse.what)
def test_misuse_ends_with_one_short_message(here: Path, screen: Command, misuse: Misuse) -> None:
    change(here, misuse.changes)
    arguments = misuse.command.split()
    if misuse.command == AFTER:
        listing()
    before = content(here)
    message = check_message(arguments[0], *screen(*arguments))
    assert re.search(misuse.said, message), message
    assert content(here) == before


def test_there_are_thirty() -> None:
    assert len({(misuse.command, str(misuse.changes)) for misuse in MISUSES}) >= 30


@pytest.mark.parametrize("command", ["use photos", "head", "predict pets", "export --format keras"])
def test_the_wrong_folder_is_told_with_the_way(
    here: Path, screen: Command, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (here / "workflow/graft").mkdir(exist_ok=True)
    monkeypatch.chdir(here / "data")
    arguments = command.replace("pets", "../pets").split()
    assert "(cd ..)" in check_message(arguments[0], *screen(*arguments))


def test_what_no_one_can_decode_is_named(here: Path, screen: Command) -> None:
    """Films, documents, and photos as some phones keep them."""
    kinds = {"heic": b"\0\0\0\x18ftypheic", "mp4": b"\0\0\0\x18ftypmp42", "pdf": b"%PDF-1.7"}
    for number, (label, end) in enumerate(itertools.product(PETS, [*kinds] * 3)):
        write(here / "other" / label, {f"{number}.{end}": kinds[end] + bytes([number])})
    change(here, images("other"))
    listing()
    for shard in "0123":
        run("tensors", shard)
    run("duplicates")
    message = check_message("split", *screen("split"))
    for reason in ("6 HEIC, which is not read", "6 not an image: a video", "6 not an image: a PDF"):
        assert reason in message
    assert not (here / "data/split.csv").exists()


@pytest.mark.parametrize("name", ["my 'best' pets", 'a "pet"; $HOME', "--pets", "Haustiere – ü"])
def test_odd_names_are_no_misuse(here: Path, screen: Command, name: str) -> None:
    write(here / name, classes(PETS))
    status, shown = screen("use", "photos", f"--images={name}")
    assert (status, "error" in shown) == (0, False)
    assert screen("manifest", "--shards", "1")[1].endswith("manifest: 8 files in 2 classes\n")


def commands() -> list[tuple[str, str]]:
    return [*find_tools().items(), *stage_names().items()]


@pytest.mark.parametrize(("command", "does"), commands(), ids=[name for name, _ in commands()])
def test_every_command_says_what_it_does_with_an_example(
    here: Path, screen: Command, command: str, does: str
) -> None:
    """Also where params.yaml is broken."""
    (here / "params.yaml").write_text("[", encoding="utf-8")
    status, out = screen(command, "--help")
    assert status == 0
    assert out.startswith(f"usage: graft {command}")
    text = " ".join(out.split())
    assert does.rstrip(".") in text
    assert f"graft {command} " in f"{text.partition('example: ')[2]} "
    assert max(map(len, out.splitlines())) <= 110
