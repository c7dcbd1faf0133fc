"""Commands that run as forks of a server do as commands that start by themselves."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from background import Run, await_true, has_ended
from graft.project.pipeline import PACKAGE
from graft.scheduling.fork_server import VARIABLE
from project import Project, reached

# Starts a server, runs the command in its arguments, and ends as that has ended.
# (What a shell runs in its background would not hear Ctrl-C otherwise.)
ENGINE = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, "workflow")
import os
from graft.scheduling.fork_server import start_server
start_server(os.getpid())
sys.exit(subprocess.run(sys.argv[1:]).returncode % 256)
"""
COMMAND = (sys.executable, "-c", ENGINE)
# The engine, the client, and the process of the stage.
Waiting = tuple[Run, psutil.Process, psutil.Process]
PATIENCE = 60.0  # seconds
GRAFT = str(Path(sys.executable).with_name("graft"))


@pytest.fixture
def held(standins: Project) -> Path:
    """Lets the stage `split`, which is stale, wait until this file is gone."""
    standins.change({"split.seed": 5})
    return standins.hold("split")


@pytest.fixture
def waiting(standins: Project, held: Path) -> Iterator[Waiting]:
    """A run that is paused in its stage `split`."""
    engine = standins.start(*COMMAND, GRAFT, "split")
    assert engine.wait_until(lambda: reached(held), PATIENCE), engine.text
    clients = (c for c in psutil.Process(engine.pid).children() if c.cmdline()[-1] == "split")
    yield engine, next(clients), psutil.Process(reached(held))
    held.unlink(missing_ok=True)
    engine.wait()


def await_end(process: psutil.Process) -> None:
    assert await_true(lambda: has_ended(process), PATIENCE)


# A stage that imports Keras once it has printed what it knows of it by then.
NEEDS_KERAS = """
import sys
from pathlib import Path
from graft.split.standin import main as stand_in

def main(stage):
    print("has Keras:", "keras" in sys.modules, flush=True)
    from graft.models.framework import keras
    print("Keras", keras.__version__)
    stand_in(stage)
"""


def let_split_need_keras(standins: Project) -> None:
    room = standins.folder / PACKAGE / "split"
    (room / "split.py").rename(room / "standin.py")
    (room / "split.py").write_text(NEEDS_KERAS, encoding="utf-8")
    standins.change({"split.seed": 5})


def test_a_stage_goes_on_where_keras_is_once_it_needs_it(standins: Project) -> None:
    """It begins anew there; others stay where nothing of Keras was imported."""
    let_split_need_keras(standins)
    forked = standins.run(*COMMAND, GRAFT, "split").splitlines()
    known = [line for line in forked if line.startswith("has Keras")]
    assert known == ["has Keras: False", "has Keras: True"]
    assert sum(line.startswith("Keras ") for line in forked) == 1
    standins.change({"split.seed": 6})
    alone = standins.run(GRAFT, "split").splitlines()  # without a server it goes on by itself
    assert [line for line in alone if line.startswith("has Keras")] == known[:1]


def test_a_signal_is_handed_to_the_command_where_keras_is(standins: Project) -> None:
    let_split_need_keras(standins)
    held = standins.hold("split")
    engine = standins.start(*COMMAND, GRAFT, "split")
    assert engine.wait_until(lambda: reached(held), PATIENCE), engine.text
    process = psutil.Process(reached(held))
    (client,) = (c for c in psutil.Process(engine.pid).children() if c.cmdline()[-1] == "split")
    client.send_signal(signal.SIGTERM)
    await_end(process)
    assert engine.wait() == 143


def test_a_command_is_answered_by_the_server(waiting: Waiting) -> None:
    engine, client, process = waiting
    assert process.pid not in {engine.pid, client.pid}
    parents = [parent.pid for parent in process.parents()]
    assert client.pid not in parents
    assert engine.pid in parents


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, 256 - 9)]
)
def test_a_signal_is_handed_to_the_command(waiting: Waiting, number: int, status: int) -> None:
    engine, client, process = waiting
    client.send_signal(number)
    await_end(process)
    assert engine.wait() == status


def test_a_command_that_is_killed_ends_its_client(waiting: Waiting) -> None:
    engine, _, process = waiting
    process.kill()
    assert engine.wait() == 128 + signal.SIGKILL
    assert engine.text.endswith("graft: error: the stage was killed; run again\n")


def test_a_server_that_is_killed_leaves_its_commands_alone(waiting: Waiting, held: Path) -> None:
    engine, _, process = waiting
    process.parent().kill()
    held.unlink()
    assert engine.wait() == 0


def test_a_server_ends_with_the_engine_that_started_it(waiting: Waiting, held: Path) -> None:
    engine, _, process = waiting
    server = process.parent()
    engine.kill()
    held.unlink()
    await_end(process)  # what runs comes to its end
    await_end(server)


@pytest.mark.parametrize(
    "shell", ["/bin/sh", "/bin/bash"]
)  # some wait for the command, some do not
def test_stages_of_dvc_have_one_server_that_ends_with_it(standins: Project, shell: str) -> None:
    standins.extra["SHELL"] = shell
    standins.change({"split.seed": 5})
    held = standins.hold("head")
    engine = standins.start("dvc", "repro")
    assert engine.wait_until(lambda: reached(held), PATIENCE), engine.text
    process = psutil.Process(reached(held))
    server = process.parent()
    assert "serve_stages" in " ".join(server.cmdline())
    engine.kill()
    await_end(process)
    await_end(server)


def test_messages_and_status_are_those_of_the_command(standins: Project) -> None:
    for arguments in (["nonsense"], ["tensors", "99"], ["--help"]):
        forked = standins.start(*COMMAND, GRAFT, *arguments)
        alone = standins.start(GRAFT, *arguments)
        assert (forked.wait(), forked.text) == (alone.wait(), alone.text)


def test_code_that_has_changed_since_is_not_run_in_a_fork(standins: Project) -> None:
    """The stage must be of the code that is there when it starts."""
    path = standins.folder / PACKAGE / "scheduling/endings.py"
    script = ENGINE.replace(
        "sys.exit(", f"open({str(path)!r}, 'a').write('\\nprint(\"new\")\\n')\nsys.exit("
    ).replace("getpid())\n", "getpid())\nimport time; time.sleep(2)\n")
    assert standins.run(sys.executable, "-c", script, GRAFT, "--help").startswith("new\n")


def test_a_server_that_is_gone_is_none(standins: Project) -> None:
    standins.extra[VARIABLE] = "graft-of-nobody"
    assert standins.run(GRAFT, "--help").startswith("usage: graft COMMAND")
