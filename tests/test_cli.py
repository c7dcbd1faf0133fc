"""The command line: what there is, what it says, and what it leaves unimported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graft import cli
from graft.project import pipeline as declared
from images import SHARDS, classes, graft, workspace, write

SLOW = {"tensorflow", "keras", "openvino"}
# The stages that run before and after all learning.
LIGHT = [
    ["params"],
    ["manifest", "--shards", str(SHARDS)],
    *(["tensors", str(shard)] for shard in range(SHARDS)),
    ["duplicates"],
    ["split"],
]


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_every_command_with_what_it_does(tmp_path: Path, arguments: list[str]) -> None:
    status, out, errors = graft(tmp_path, *arguments)
    assert (status, errors) == (0, "")
    assert out.startswith("usage: graft COMMAND")
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()[3:]}
    assert listed == cli.commands()
    assert all(len(summary) > 10 for summary in listed.values())


def test_every_stage_is_a_command() -> None:
    stages = {address.partition("@")[0] for address in declared.addresses()}
    assert stages <= set(cli.commands())


@pytest.mark.parametrize("name", ["nothing", "cli", "errors", "__init__", "../graft/split", ""])
def test_an_unknown_command_is_one_message(tmp_path: Path, name: str) -> None:
    status, out, errors = graft(tmp_path, name, "more")
    assert (status, out) == (2, "")
    assert errors == (
        f"graft {name}: error: a command must be one of {', '.join(cli.commands())}."
        f" Received: {name!r}\n"
    )


@pytest.mark.parametrize("command", ["params", "split", "report"])
def test_outside_a_project_it_says_so(tmp_path: Path, command: str) -> None:
    status, out, errors = graft(tmp_path, command)
    assert (status, out) == (2, "")
    assert errors.startswith(f"graft {command}: error: there is no ")
    assert "run graft in the project's folder" in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_closed_pipe_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "graft"], stdout=writing, stderr=subprocess.PIPE, encoding="utf-8"
    )
    os.close(writing)
    assert ended.stderr == ""


def test_what_needs_no_tensorflow_does_not_import_it(tmp_path: Path) -> None:
    workspace(tmp_path)
    write(tmp_path / "photos", classes({"cat": 3, "dog": 3}))
    wrong = (
        *(["weights", "nothing", "nothing"], ["features", "9"]),
        *(["classify", "nothing"], ["compare", "nothing"]),
    )
    for arguments in (["--help"], *wrong, *LIGHT):
        ended = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "graft", *arguments],
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
        )
        assert ended.returncode == (2 if arguments in wrong else 0), ended.stderr
        lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
        assert "graft" in imported
        assert not imported & SLOW, arguments
    assert (tmp_path / "data/split.csv").exists()


def test_the_command_and_the_module_are_one(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "graft"
    if not command.exists():
        pytest.skip("graft is not installed beside this python")
    ended = subprocess.run([command, "--help"], capture_output=True, encoding="utf-8")
    assert (ended.returncode, ended.stdout) == graft(tmp_path, "--help")[:2]
