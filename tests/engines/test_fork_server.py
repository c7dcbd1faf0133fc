"""Commands that run as forks of a server do as commands that start by themselves."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from faults.runs import await_true, has_ended
from graft.project.launcher import find_module
from graft.project.pipeline import PACKAGE, find_stages_with, stage_names
from graft.scheduling.fork_server import VARIABLE
from project import Project
from sources import SOURCES, closure

# Starts a server, runs the command in its arguments, and ends as that has ended.
# (What a shell runs in its background would not hear Ctrl-C otherwise.)
ENGINE = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, "workflow")
import os
from graft.scheduling.fork_server import start_server
start_server(os.getpid(), [])
sys.exit(subprocess.run(sys.argv[1:]).returncode % 256)
"""
# The engine, the client, and the process of the stage.
Waiting = tuple[subprocess.Popen[str], psutil.Process, psutil.Process]
PATIENCE = 60.0  # seconds
GRAFT = str(Path(sys.executable).with_name("graft"))


@pytest.fixture
def waiting(standins: Project, tmp_path: Path) -> Iterator[Waiting]:
    """A run that is paused in its stage `split`."""
    standins.change({"split.seed": 5})
    standins.pauses = tmp_path
    mark = standins.pauses / "split@half"
    mark.touch()
    engine = start(standins, "split")
    reached = mark.with_name("split@half.reached")
    assert await_true(lambda: reached.exists() or engine.poll() is not None, PATIENCE)
    assert reached.exists(), engine.stdout.read()
    clients = (c for c in psutil.Process(engine.pid).children() if c.cmdline()[-1] == "split")
    yield engine, next(clients), psutil.Process(int(reached.read_text().split()[0]))
    mark.unlink(missing_ok=True)
    engine.wait()
    engine.stdout.close()


def start(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ENGINE, GRAFT, *arguments],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def await_end(process: psutil.Process) -> None:
    assert await_true(lambda: has_ended(process), PATIENCE)


def test_the_stages_that_import_tensorflow_are_known() -> None:
    framework = "graft.models.framework"
    found = {
        stage
        for stage in stage_names()
        if framework in closure(find_module(stage), later=True) & set(SOURCES)
    }
    # These run the network by TensorFlow only where `features.runtime` asks for it, or read a file.
    assert found - set(find_stages_with("tensorflow")) <= {"features", "evaluate", "warnings"}
    assert found >= set(find_stages_with("tensorflow"))


def test_a_command_is_answered_by_the_server(
    waiting: Waiting,
) -> None:
    engine, client, process = waiting
    assert process.pid not in {engine.pid, client.pid}
    parents = [parent.pid for parent in process.parents()]
    assert client.pid not in parents
    assert engine.pid in parents


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, 256 - 9)]
)
def test_a_signal_for_the_client_is_one_for_its_command(
    waiting: Waiting, number: int, status: int
) -> None:
    engine, client, process = waiting
    client.send_signal(number)
    await_end(process)
    engine.wait()
    assert engine.returncode == status


def test_a_command_that_is_killed_ends_its_client(
    waiting: Waiting,
) -> None:
    engine, _, process = waiting
    process.kill()
    engine.wait()
    assert engine.returncode == 128 + signal.SIGKILL
    assert engine.stdout.read().endswith("graft: error: the stage was killed; run again\n")


def test_a_server_that_is_killed_leaves_its_commands_alone(
    waiting: Waiting, standins: Project
) -> None:
    engine, _, process = waiting
    process.parent().kill()
    (standins.pauses / "split@half").unlink()
    engine.wait()
    assert engine.returncode == 0


def test_a_server_ends_with_the_engine_that_started_it(waiting: Waiting, standins: Project) -> None:
    engine, _, process = waiting
    server = process.parent()
    engine.kill()
    (standins.pauses / "split@half").unlink()
    await_end(process)  # what runs comes to its end
    await_end(server)


def test_messages_and_status_are_those_of_the_command(standins: Project) -> None:
    for arguments in (["nonsense"], ["tensors", "99"], ["--help"]):
        engine = start(standins, *arguments)
        forked = engine.communicate()[0], engine.returncode
        alone = subprocess.run(
            [GRAFT, *arguments],
            cwd=standins.folder,
            env=standins.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert forked == (alone.stdout, alone.returncode)


def test_code_that_has_changed_since_is_not_run_in_a_fork(standins: Project) -> None:
    """The stage must be of the code that is there when it starts."""
    path = standins.folder / PACKAGE / "scheduling/endings.py"
    script = ENGINE.replace(
        "sys.exit(",
        f"open({str(path)!r}, 'a').write('\\nprint(\"new\")\\n')\nsys.exit(",
    ).replace("[])\n", "[])\nimport time; time.sleep(2)\n")
    done = subprocess.run(
        [sys.executable, "-c", script, GRAFT, "--help"],
        cwd=standins.folder,
        env=standins.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("new\n")


def test_a_server_that_is_gone_is_none(standins: Project) -> None:
    done = subprocess.run(
        [GRAFT, "--help"],
        cwd=standins.folder,
        env={**standins.environment(), VARIABLE: "graft-of-nobody"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("usage: graft COMMAND")
