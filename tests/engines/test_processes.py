"""DVC's list of running processes, with processes of other machines in it.

The stages are stand-ins. Another machine is one that has the lock of a process, but not its number.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import standin
from faults.runs import Run, await_true
from project import Project, assert_fresh

LIST = ".dvc/tmp/rwlock"
NOBODY = 2**22 + 1  # a number that no process has
PATIENCE = 60.0  # seconds


def note(made: Project, way: str, number: int) -> Path:
    """Notes a process of the machine `elsewhere`, and gives the file of its lock."""
    info = {"pid": number, "cmd": f"elsewhere-{number}: graft build head"}
    path = str(made.folder / "data/models/head.keras")
    noted = {path: info if way == "write" else [info]}
    (made.folder / LIST).write_text(json.dumps({way: noted}), encoding="utf-8")
    return made.folder / ".dvc/tmp/processes" / f"elsewhere-{number}"


@contextlib.contextmanager
def at_work(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_stale(made: Project) -> None:
    made.change({"head.epochs": 3})


def assert_built(made: Project) -> None:
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)
    assert not any(json.loads((made.folder / LIST).read_text()).values())


@pytest.mark.parametrize("way", ["read", "write"])
def test_one_that_ended_blocks_nobody(standins: Project, way: str) -> None:
    """Even where this machine has a process of its number."""
    make_stale(standins)
    note(standins, way, os.getpid())
    assert psutil.pid_exists(os.getpid())
    standins.dvc("repro")
    assert_built(standins)


def test_one_that_is_at_work_elsewhere_is_waited_for(standins: Project, tmp_path: Path) -> None:
    make_stale(standins)
    with at_work(note(standins, "write", NOBODY)):
        printed = tmp_path / "printed"
        run = Run(["dvc", "repro"], standins.folder, standins.environment(), printed)
        assert await_true(lambda: "waiting for another process" in run.text, PATIENCE), run.text
        assert str(NOBODY) in (standins.folder / LIST).read_text()
    assert run.wait(PATIENCE) == 0, run.text
    assert_built(standins)


def test_one_that_was_struck_off_ends_well(standins: Project, tmp_path: Path) -> None:
    """As on a file system that shows no locks of other machines."""
    make_stale(standins)
    standins.pauses = tmp_path
    mark = tmp_path / "head@half"
    mark.touch()
    run = Run(["dvc", "repro"], standins.folder, standins.environment(), tmp_path / "printed")
    assert await_true(mark.with_name(f"{mark.name}.reached").exists, PATIENCE), run.text
    (standins.folder / LIST).write_text("{}", encoding="utf-8")
    mark.unlink()
    assert run.wait(PATIENCE) == 0, run.text
    assert_built(standins)
