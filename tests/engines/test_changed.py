"""Only new rows are computed, and the bytes are those of a build from nothing."""

import contextlib
import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from openvino import opset13 as ops

from graft.common.arrays import Growing, copy_rows
from graft.common.tables import write_json
from graft.images.files import identity
from graft.integrity.damage import hash_folder
from graft.integrity.earlier import find_cache
from graft.integrity.ground import flatten
from graft.integrity.libraries import VERSIONS
from graft.integrity.records import LOCK, drop_record, read_record
from graft.project.choices import divide
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from graft.project.upstream import describe_stage, find_earlier
from images import ROOT, SIDE, Capture, change, encoded, picture, run_stage, workspace, write

SHARDS = 2
KEPT = ("data/tensors", "data/checked", "data/features")
# What a file may hold: pictures, and what is none.
CONTENTS = [encoded(picture(number)) for number in range(9)]
CONTENTS += [CONTENTS[0][:-40], b"", b"a text"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small graph in place of the stage `backbone`."""
    folder = tmp_path_factory.mktemp("backbone")
    draw = np.random.default_rng(0)
    pixels = ops.parameter([-1, SIDE, SIDE, 3], np.float32)
    kernels = draw.normal(0, 0.01, (24, 3, 5, 5)).astype(np.float32)
    moved = ops.transpose(pixels, [0, 3, 1, 2])
    found = ops.convolution(moved, kernels, [2, 2], [0, 0], [0, 0], [1, 1])
    mean = ops.reduce_mean(ops.tanh(found), [2, 3])
    ov.save_model(ov.Model([ops.result(mean)], [pixels]), folder / "graph.xml", False)
    write_json(folder / "depths.json", {})
    (folder / "network.keras").touch()
    return folder


class Folder:
    """A project in which stages run one by one, and are recorded as DVC does."""

    def __init__(self, folder: Path, network: Path) -> None:
        self.folder = folder
        folder.mkdir()
        workspace(folder)
        divide(SHARDS, folder)
        shutil.copytree(network, folder / "data/backbone")
        (folder / "workflow/graft").symlink_to(ROOT / "workflow/graft")

    def build(self, inside: Mapping[str, bytes], forget: bool = False) -> dict[str, bytes]:
        """Builds all up to the features of a data set: the content of each output.

        Args:
            inside: the files by path.
            forget: whether nothing is recorded, so that all is computed.
        """
        shutil.rmtree(self.folder / "photos", ignore_errors=True)
        write(self.folder / "photos", inside)
        with contextlib.chdir(self.folder):
            for stage in ("manifest", "tensors", "features"):
                for key in [""] if stage == "manifest" else map(str, range(SHARDS)):
                    run_stage([stage, key] if key else [stage, "--shards", str(SHARDS)])
                    if not forget:
                        self.record(f"{stage}@{key}" if key else stage)
            paths = sorted(path for folder in KEPT for path in Path(folder).iterdir())
            return {str(path): path.read_bytes() for path in paths}

    def record(self, address: str) -> None:
        """Puts the outputs of a stage into the cache, and what it was made from into dvc.lock."""
        record = read_record(address)
        if record is None:  # it was unchanged
            return
        made = record.made
        for path, name in made.outputs.items():
            kept = find_cache() / name[:2] / name[2:]
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)
        entry = {
            "cmd": made.command,
            "deps": [{"path": path, "md5": name} for path, name in made.dependencies.items()],
            "params": {"params.yaml": made.parameters, str(VERSIONS): made.libraries},
            "outs": [{"path": path, "md5": name} for path, name in made.outputs.items()],
        }
        lock = yaml.safe_load(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {"stages": {}}
        lock["stages"][address] = entry
        LOCK.write_text(yaml.safe_dump(lock), encoding="utf-8")
        drop_record(address)


PATHS = st.tuples(st.sampled_from("abc"), st.integers(0, 12)).map(lambda p: f"{p[0]}/{p[1]}.png")
FILES = st.dictionaries(PATHS, st.sampled_from(range(len(CONTENTS))), max_size=12)
STATES = st.lists(FILES, min_size=3, max_size=3)
# Fewer than three different images of a class are refused.
ENOUGH = {
    f"{label}/0{n}.png": encoded(picture(10 * n + ord(label)))
    for label, n in product("abc", (1, 2, 3))
}


@limits(max_examples=8)
@given(states=STATES)
def test_the_bytes_are_those_of_a_build_from_nothing(
    network: Path, tmp_path_factory: pytest.TempPathFactory, states: list[dict[str, int]]
) -> None:
    """Files are added, removed, renamed, replaced, copied, and given other classes at random."""
    top = tmp_path_factory.mktemp("states")
    made = Folder(top / "made", network)
    for number, state in enumerate(states):
        inside = ENOUGH | {path: CONTENTS[content] for path, content in state.items()}
        new = Folder(top / str(number), network)
        assert made.build(inside) == new.build(inside, forget=True)


MORE = ENOUGH | {"a/bad.png": b"bad"}
ADDED = MORE | {"a/new.png": encoded(picture(99))}


@pytest.fixture
def made(tmp_path: Path, network: Path) -> Folder:
    """A project that was built once."""
    found = Folder(tmp_path / "made", network)
    found.build(MORE)
    return found


def test_one_new_image_costs_one(made: Folder, capsys: Capture) -> None:
    capsys.readouterr()
    made.build(ADDED)
    printed = capsys.readouterr().out
    # A shard whose pixels are as before is not run through the network at all.
    for stage, shards, rows in (("tensors", SHARDS, 11), ("features", 1, 9)):
        lines = [line.split() for line in printed.splitlines() if line.startswith(stage)]
        found = [(int(line[2]), int(line[4])) for line in lines if "before" in line]
        assert len(found) == shards
        assert sum(new for new, _ in found) == 1 and sum(of for _, of in found) <= rows


def flip(path: Path) -> None:
    """Changes a bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage(folder: Path) -> None:
    for path in folder.glob(".dvc/cache/files/md5/*/*"):
        flip(path)


def another_machine(folder: Path) -> None:
    for path in folder.glob(".graft/made/*"):
        path.write_text(path.read_text().replace("a", "b"))


BROKEN = "stages: {tensors@0: [1], features@0: {deps: 3}}\n"
BOTH = {"tensors", "features"}


@pytest.mark.parametrize(
    ("alter", "stages"),
    [
        (damage, BOTH),
        (lambda folder: shutil.rmtree(folder / ".dvc/cache"), BOTH),
        (lambda folder: (folder / LOCK).unlink(), BOTH),
        (lambda folder: (folder / LOCK).write_text(BROKEN), BOTH),
        (another_machine, BOTH),
        (lambda folder: shutil.rmtree(folder / ".graft"), BOTH),  # a clone
        (lambda folder: change(folder, {"image.fit": "crop"}), {"tensors"}),
        (lambda folder: flip(folder / "data/backbone/graph.bin"), {"features"}),
    ],
)
def test_what_may_differ_is_computed(
    made: Folder, tmp_path: Path, network: Path, capsys: Capture, alter: Any, stages: set[str]
) -> None:
    alter(made.folder)
    capsys.readouterr()
    found = made.build(ADDED)
    printed = capsys.readouterr()
    for stage in ("tensors", "features"):
        lines = [line for line in printed.out.splitlines() if line.startswith(stage)]
        assert any("as before" in line for line in lines) == (stage not in stages), stage
    assert ("holds a damaged copy of data/checked/0.csv" in printed.err) == (alter is damage)
    new = Folder(tmp_path / "new", network)
    for name in ("params.yaml", "data/backbone/graph.bin"):
        shutil.copyfile(made.folder / name, new.folder / name)
    assert found == new.build(ADDED, forget=True)


def test_other_code_is_no_reason_to_keep_rows(made: Folder, capsys: Capture) -> None:
    """The code of a room is another one than that which is recorded."""
    with contextlib.chdir(made.folder):
        text = LOCK.read_text(encoding="utf-8")
        room = hash_folder(Path("workflow/graft/images"))
        assert text.count(room) == 1 + SHARDS
        stages, flat = declarations(read_parameters()), flatten(read_parameters())
        (stage,) = (s for s in stages if s.address == "tensors@0")
        now = describe_stage(stage, stages, flat)
        assert find_earlier(stage, now)(Path("data/checked/0.csv")) is not None
        assert find_earlier(stage, now)(Path("data/split.csv")) is None
        LOCK.write_text(text.replace(room, "0" * 32 + ".dir"), encoding="utf-8")
        assert find_earlier(stage, now) is None


def test_an_unread_file_shares_no_id() -> None:
    assert identity(b"missing") != identity(b"missing", unread=True)


@given(data=st.data())
def test_rows_are_copied_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    width = data.draw(st.sampled_from([1, 3, 700_000]))
    arrays = [np.arange(n * width, dtype=np.float32).reshape(n, width) + n for n in (5, 2)]
    places = [(number, row) for number, array in enumerate(arrays) for row in range(len(array))]
    chosen = data.draw(st.lists(st.sampled_from(places), max_size=12))
    for number, array in enumerate(arrays):
        np.save(folder / f"{number}.npy", array)
    numbers, rows = np.array(chosen, np.int64).reshape(-1, 2).T
    with Growing(folder / "out.npy", np.float32, (width,)) as out:
        copy_rows(out, [folder / "0.npy", folder / "1.npy"], numbers, rows)
    expected = [arrays[number][row] for number, row in chosen]
    assert (np.load(folder / "out.npy") == np.reshape(expected, (-1, width))).all()
