"""Builds on a real Slurm of three nodes, whole and with faults in mid-run.

    uv run --extra slurm pytest tests/cluster

The stages only hash what they read. The command is that of the README.
"""

import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from background import await_true
from cluster.runs import PATIENCE, PROFILE, held, lose_its_node, start
from cluster.slurm import Slurm, find_missing, run_slurm
from project import Project, assert_right

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `slurm` is not installed")
if missing := find_missing():
    pytest.skip(missing, allow_module_level=True)

AWAY = 40.0  # seconds without a controller: it is asked at least once within them


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with run_slurm(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def idle(standins: Project, slurm: Slurm) -> Project:
    """A project that was built, while no job is at work."""
    assert await_true(slurm.is_idle, PATIENCE, 0.2)
    return standins


@pytest.fixture
def stale(idle: Project) -> Project:
    """The same, in which all but the manifest and the backbone is to be made."""
    idle.change({"image.fit": "pad"})
    return idle


@pytest.fixture
def short(idle: Project) -> Project:
    """The same, in which two jobs are to be run: finetune, then the results."""
    idle.change({"finetune.epochs": 2})
    return idle


def test_one_command_builds_all_in_a_handful_of_jobs(stale: Project, slurm: Slurm) -> None:
    before = slurm.last_job()
    printed = stale.run("snakemake", *PROFILE)
    assert_right(stale)
    assert "SLURM" not in printed and "wall time" not in printed, printed
    assert slurm.last_job() - before <= 6


def test_a_job_that_is_cancelled_is_run_again(stale: Project, slurm: Slurm) -> None:
    """As one that is over its time is: by a signal from Slurm."""
    with held(stale, "tensors@0") as run:
        ((number, _),) = slurm.jobs()
        subprocess.run(["scancel", number], check=True)
    run.wait()
    stale.run("snakemake", *PROFILE)
    assert_right(stale)


def test_a_lost_node_is_replaced(short: Project, slurm: Slurm) -> None:
    lose_its_node(short, slurm, "finetune")
    assert_right(short)


def test_a_controller_that_is_away(short: Project, slurm: Slurm) -> None:
    """The run may wait for ever, since the plugin then asks for accounts that there are not."""
    with held(short, "finetune") as run:
        slurm.stop_controller()
    time.sleep(AWAY)
    slurm.start_controller()
    if run.wait(PATIENCE) is None:
        run.send(signal.SIGINT)
        run.wait()
    short.run("snakemake", *PROFILE)
    assert_right(short)


def test_a_submitter_that_is_killed_leaves_its_jobs(short: Project, slurm: Slurm) -> None:
    """The next run waits for the job that is at work, on whatever node."""
    said = short.folder / "logs/finetune.log"
    with held(short, "finetune") as first:
        first.kill()
        second = start(short)
        assert await_true(lambda: len(slurm.jobs()) == 2, PATIENCE, 0.2)
        assert await_true(lambda: "waiting for another process" in said.read_text(), PATIENCE, 0.2)
    second.end()
    assert_right(short)


def test_a_job_over_its_time_is_given_more(short: Project, slurm: Slurm) -> None:
    with held(short, "finetune", "--set-resources", "finetune:runtime=attempt") as run:
        ((number, _),) = slurm.jobs()
        assert await_true(lambda: slurm.state_of(number) == "TIMEOUT", PATIENCE, 0.2)
    run.end()
    assert_right(short)


def test_a_job_over_its_memory_is_given_more(short: Project, slurm: Slurm) -> None:
    before = slurm.last_job()
    start(short, "--set-resources", "finetune:mem_mb=50*attempt**5").end()
    assert slurm.state_of(str(before + 1)) in {"OUT_OF_MEMORY", "CANCELLED", "FAILED"}
    assert_right(short)
