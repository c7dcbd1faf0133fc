"""Builds on a real Slurm of three nodes, whole and with faults in mid-run.

    uv run --extra slurm pytest tests/cluster

The stages only hash what they read. The command is that of the README.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.runs import (
    PATIENCE,
    PROFILE,
    assert_built,
    await_reached,
    finish,
    finish_without_its_node,
    hold,
    start,
)
from cluster.slurm import Slurm, find_missing, run_slurm
from faults.runs import await_true
from project import Project

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `slurm` is not installed")
if missing := find_missing():
    pytest.skip(missing, allow_module_level=True)

AWAY = 40.0  # seconds without a controller: it is asked at least once within them


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with run_slurm(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def stale(standins: Project, slurm: Slurm) -> Project:
    """A project that was built, in which all but the manifest and the backbone is to be made."""
    standins.change({"image.fit": "pad"})
    assert await_true(slurm.is_idle, PATIENCE, 0.2)
    return standins


@pytest.fixture
def short(standins: Project, slurm: Slurm) -> Project:
    """A project that was built, in which two jobs are to be run: finetune, then the results."""
    standins.change({"finetune.epochs": 2})
    assert await_true(slurm.is_idle, PATIENCE, 0.2)
    return standins


def test_one_command_builds_all_in_a_handful_of_jobs(stale: Project, slurm: Slurm) -> None:
    before = slurm.last_job()
    printed = stale.run("snakemake", *PROFILE)
    assert_built(stale)
    assert "SLURM" not in printed and "wall time" not in printed, printed
    assert slurm.last_job() - before <= 6


def test_a_job_that_is_cancelled_is_run_again(stale: Project, slurm: Slurm, tmp_path: Path) -> None:
    """As one that is over its time is: by a signal from Slurm."""
    mark = hold(stale, "tensors@0", tmp_path)
    run = start(stale)
    await_reached(mark)
    ((number, _),) = slurm.jobs()
    subprocess.run(["scancel", number], check=True)
    mark.unlink()
    run.communicate()
    stale.run("snakemake", *PROFILE)
    assert_built(stale)


def test_a_lost_node_is_replaced(short: Project, slurm: Slurm, tmp_path: Path) -> None:
    mark = hold(short, "finetune", tmp_path)
    run = start(short)
    await_reached(mark)
    finish_without_its_node(run, slurm, mark)
    assert_built(short)


def test_a_controller_that_is_away(short: Project, slurm: Slurm, tmp_path: Path) -> None:
    mark = hold(short, "finetune", tmp_path)
    run = start(short)
    await_reached(mark)
    slurm.stop_controller()
    mark.unlink()
    time.sleep(AWAY)
    slurm.start_controller()
    finish(run)
    assert_built(short)


def test_a_submitter_that_is_killed_leaves_its_jobs(
    short: Project, slurm: Slurm, tmp_path: Path
) -> None:
    """The next run waits for the job that is at work, on whatever node."""
    mark = hold(short, "finetune", tmp_path)
    first = start(short)
    await_reached(mark)
    first.kill()
    first.wait()
    second = start(short)
    assert await_true(lambda: len(slurm.jobs()) == 2, PATIENCE, 0.2)
    said = short.folder / "logs/finetune.log"
    assert await_true(lambda: "waiting for another process" in said.read_text(), PATIENCE, 0.2)
    mark.unlink()
    finish(second)
    assert_built(short)


def test_a_job_over_its_time_is_given_more(short: Project, slurm: Slurm, tmp_path: Path) -> None:
    mark = hold(short, "finetune", tmp_path)
    run = start(short, "--set-resources", "finetune:runtime=attempt")
    await_reached(mark)
    ((number, _),) = slurm.jobs()
    assert await_true(lambda: slurm.state_of(number) == "TIMEOUT", PATIENCE, 0.2)
    mark.unlink()
    finish(run)
    assert_built(short)


def test_a_job_over_its_memory_is_given_more(short: Project, slurm: Slurm) -> None:
    before = slurm.last_job()
    finish(start(short, "--set-resources", "finetune:mem_mb=50*attempt**5"))
    assert slurm.state_of(str(before + 1)) in {"OUT_OF_MEMORY", "CANCELLED", "FAILED"}
    assert_built(short)
