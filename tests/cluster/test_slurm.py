"""Builds on a real Slurm of three nodes, whole and after a job was cancelled.

    uv run --extra slurm pytest tests/cluster

The stages are stand-ins. People start a run by `snakemake --profile workflow/profiles/slurm`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import standin
from cluster.slurm import NODES, Slurm, find_missing, run_slurm
from faults.runs import await_true
from project import Project
from test_engines import assert_fresh

pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra `slurm` is not installed")
if missing := find_missing():
    pytest.skip(missing, allow_module_level=True)

PROFILE = ("--profile", "workflow/profiles/slurm")
PATIENCE = 120.0  # seconds


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with run_slurm(tmp_path_factory.mktemp("slurm")) as made:
        yield made


@pytest.fixture
def stale(standins: Project, slurm: Slurm) -> Project:
    """A project that was built, in which all but the manifest and the backbone is to be made."""
    standins.change({"image.fit": "pad"})
    assert slurm.states() == ["idle"] * NODES
    return standins


def start(made: Project) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["snakemake", *PROFILE],
        cwd=made.folder,
        env=made.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def hold(made: Project, address: str, pauses: Path) -> Path:
    """Pauses a stage after its start, until the returned file is removed."""
    made.pauses = pauses
    mark = pauses / f"{address}@half"
    mark.touch()
    return mark


def await_reached(mark: Path) -> None:
    assert await_true(mark.with_name(f"{mark.name}.reached").exists, PATIENCE)


def assert_built(made: Project) -> None:
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)


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
