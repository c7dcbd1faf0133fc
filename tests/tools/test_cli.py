"""The command line: what there is, and what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graft.cli import find_tools
from graft.project.pipeline import stage_names
from images import call, complaint, graft, workspace


def lines(text: str) -> dict[str, str]:
    """The commands in a help text, each with what it does."""
    listed = (line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  "))
    return dict(listed)


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_help_lists_every_command_with_what_it_does(tmp_path: Path, arguments: list[str]) -> None:
    status, out, errors = graft(tmp_path, *arguments)
    assert (status, errors) == (0, "")
    assert out.startswith("usage: graft COMMAND")
    assert lines(out) == find_tools()
    workspace(tmp_path)
    _, out, _ = graft(tmp_path, *arguments)
    assert lines(out) == find_tools() | stage_names()
    assert all(len(summary) > 10 for summary in lines(out).values())


@pytest.mark.parametrize("name", ["nothing", "cli", "errors", "__init__", "../graft/split", ""])
def test_an_unknown_command_is_one_message(tmp_path: Path, name: str) -> None:
    workspace(tmp_path)
    known = ", ".join([*find_tools(), *stage_names()])
    said = complaint(tmp_path, name, "more")
    assert said == f"a command must be one of {known}. Received: {name!r}"


@pytest.mark.parametrize("command", ["use", "split", "report"])
def test_outside_a_project_it_says_so(tmp_path: Path, command: str) -> None:
    assert "in the project's folder" in complaint(tmp_path, command)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["manifest"], ["tensors"], ["tensors", "9"], ["split", "0"]])
def test_a_stage_runs_as_dvc_yaml_says(tmp_path: Path, arguments: list[str]) -> None:
    workspace(tmp_path)
    said = complaint(tmp_path, *arguments)
    assert said.startswith(f"a stage must be one of {arguments[0]}")
    assert said.endswith(f"Received: {' '.join(arguments)!r}")


def test_a_closed_pipe_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    pipes = {"stdout": writing, "stderr": subprocess.PIPE, "capture_output": False}
    ended = call(sys.executable, "-m", "graft", **pipes)
    os.close(writing)
    assert ended.stderr == ""


def test_the_command_and_the_module_are_one(tmp_path: Path) -> None:
    command = Path(sys.executable).parent / "graft"
    if not command.exists():
        pytest.skip("graft is not installed beside this python")
    ended = call(command, "--help", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == graft(tmp_path, "--help")[:2]
