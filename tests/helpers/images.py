"""Pictures and small data sets made on the spot, and a folder to run stages in."""

import io
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image
from ruamel.yaml import YAML

from commands import open_screen
from graft.common.tables import read_table
from graft.project.choices import CORRECTIONS, divide
from graft.project.launcher import run_stage

# A busy machine makes no test fail, and every run tries the same examples.
settings.register_profile("graft", deadline=None, derandomize=True)
settings.load_profile("graft")

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
SIDE = 32
SHARDS = 4
# Names that some program somewhere takes for something else.
ODD = ["nan", "NA", "null", "True", "01", "1e3", "path", "train", "labels.csv", "=1+1", "#1", "%s"]
ODD += ["a b", " ", "a,b", 'a "quoted" b', "it's", "<b>", "{x}", "a:b", ";", "&", "|", "*", "~"]
ODD += ["-rf", "--help", "$HOME", "back\\slash", "a..", "x" * 255, "new\nline", "return\r", "\ttab"]
ODD += ["\x01", "\x7f", "é", "고양이", "고양이", "\N{RIGHT-TO-LEFT OVERRIDE}txt", "\N{PILE OF POO}"]


def picture(seed: int = 0, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """A picture that differs by seed, corner and channel: uint8 (height, width, 3).

    It changes slowly from pixel to pixel, so that JPEG keeps it within a few grey values.
    """
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    corner = np.random.default_rng(seed).uniform(30, 225, (4, 3))
    weights = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], -1)
    return np.round(weights @ corner).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    shown = image if isinstance(image, Image.Image) else Image.fromarray(image)
    shown.save(file, form, **options)
    return file.getvalue()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by path below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def classes(counts: Mapping[str, int], first: int = 0) -> dict[str, bytes]:
    """Different PNG files `<class>/<number>.png` for each class, numbered from `first`."""
    return {
        f"{label}/{number}.png": encoded(picture(1000 * index + number))
        for index, (label, count) in enumerate(counts.items())
        for number in range(first, first + count)
    }


def change(folder: Path, changes: Mapping[str, Any]) -> None:
    """Sets parameters of the folder's params.yaml by dotted key."""
    yaml, path = YAML(), folder / "params.yaml"
    values = yaml.load(path)
    for key, value in changes.items():
        section, name = key.split(".")
        values[section][name] = value
    yaml.dump(values, path)


def workspace(folder: Path, changes: Mapping[str, Any] | None = None) -> None:
    """Makes a folder one where stages run: with the declaration, the recipes, and parameters.

    The data set is the folder `photos`, unless `changes` says otherwise.
    """
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    write(folder, {str(CORRECTIONS): b"path,label\n"})
    link_recipes(folder)
    divide(SHARDS, folder)
    change(folder, {"dataset.path": "photos", "image.side": SIDE, **(changes or {})})


def link_recipes(folder: Path) -> None:
    """Puts the defaults and the recipes, which the page shows, where a stage reads them."""
    (folder / "workflow").mkdir(exist_ok=True)
    for name in ("defaults.yaml", "recipes"):
        if not (folder / "workflow" / name).exists():
            (folder / "workflow" / name).symlink_to(ROOT / "workflow" / name)


def call(*command: Any, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command: its exit status, output and errors, as text."""
    return subprocess.run(command, **{"capture_output": True, "encoding": "utf-8"} | options)


def graft(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Runs the command line in a folder: its exit status, output and errors."""
    keras = any(str(one).endswith(".keras") for one in arguments)
    return open_screen(keras).call(folder, *arguments)


def complaint(folder: Path, *arguments: str) -> str:
    """What a command says that must end with status 2 and one line, without how that begins."""
    status, out, errors = graft(folder, *arguments)
    start = f"graft {arguments[0]}: error: "
    assert (status, out) == (2, ""), errors
    assert errors.startswith(start) and errors.count("\n") == 1, errors
    return errors.removeprefix(start).removesuffix("\n")


def nothing_made() -> bool:
    """Whether no stage has left a file in the folder `data` here."""
    made = (path for path in Path("data").rglob("*") if path != CORRECTIONS)
    return not any(path.is_file() for path in made)


def content(folder: Path = Path()) -> dict[str, bytes]:
    """All files of a folder but git's own, and graft's note that the parameters are valid."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".graft"} & {*path.relative_to(folder).parts}
    }


def python(code: str, *arguments: str, **options: Any) -> str:
    """Runs code in a process of its own: what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", **options)
    assert ended.returncode == 0
    return ended.stdout


def check_cores(folder: Path, code: str, *names: str) -> None:
    """Holds files that code writes in a folder to be the same from one core and from two."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores whose use can be limited")
    written = []
    for cores in ([0], [0, 1]):
        mine = [sorted(os.sched_getaffinity(0))[core] for core in cores]
        python(f"import os\nos.sched_setaffinity(0, {mine})\n{textwrap.dedent(code)}", cwd=folder)
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]


def run(stage: str, key: str = "") -> None:
    """Runs a stage here, in this process, as its command in dvc.yaml does."""
    options = ["--shards", str(SHARDS)] if stage == "manifest" else []
    run_stage([stage, *([key] if key else []), *options])


def listing(path: str | None = None) -> list[dict[str, str]]:
    """Runs manifest here and returns its rows.

    Args:
        path: what `dataset.path` becomes first.
    """
    if path is not None:
        change(Path(), {"dataset.path": path})
    run("manifest")
    return read_table(Path("data/manifest.csv")).to_dict("records")


def check() -> dict[str, dict[str, Any]]:
    """Runs manifest and tensors here, in the present folder.

    Returns:
        By path: the columns of the manifest and of the shard's table, and the `pixels`, None
        where the file is quarantined.
    """
    run("manifest")
    checked = {}
    for shard in map(str, range(SHARDS)):
        run("tensors", shard)
        pixels = iter(np.load(f"data/tensors/{shard}.npy"))
        for row in read_table(Path(f"data/checked/{shard}.csv")).to_dict("records"):
            checked[row["id"]] = row | {"pixels": next(pixels) if row["status"] == "ok" else None}
        assert not list(pixels)
    listed = read_table(Path("data/manifest.csv")).to_dict("records")
    return {row["path"]: row | checked[row["id"]] for row in listed}
