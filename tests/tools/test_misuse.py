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

from cases import read_cases
from commands import Command
from graft.cli import find_tools
from graft.project.choices import CORRECTIONS, divide
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


# Of a data set, what its list of files tells is said by the first stage after it.
AFTER = "tensors 0"
MISUSES = [Misuse(*row) for row in read_cases(__file__)["misuses"]]


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
    write(folder, {str(CORRECTIONS): b"path,label\n"})
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
    """Films, documents, and photos of phones that were cut."""
    kinds = {"heic": b"\0\0\0\x18ftypheic", "mp4": b"\0\0\0\x18ftypmp42", "pdf": b"%PDF-1.7"}
    for number, (label, end) in enumerate(itertools.product(PETS, [*kinds] * 3)):
        write(here / "other" / label, {f"{number}.{end}": kinds[end] + bytes([number])})
    change(here, {"dataset.path": "other"})
    listing()
    for shard in "0123":
        run("tensors", shard)
    run("duplicates")
    message = check_message("split", *screen("split"))
    for reason in ("6 truncated", "6 not an image: a video", "6 not an image: a PDF"):
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
