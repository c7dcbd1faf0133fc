"""Runs on a cluster in the background, in which a stage can be held."""

import subprocess
from pathlib import Path

import standin
from cluster.slurm import Slurm
from faults.runs import await_true
from project import Project, assert_fresh

PROFILE = ("--profile", "workflow/profiles/slurm")
PATIENCE = 120.0  # seconds


def start(made: Project, *more: str) -> "subprocess.Popen[str]":
    """Submits what is stale, and stays until it is built."""
    return subprocess.Popen(
        ["snakemake", *PROFILE, *more],
        cwd=made.folder,
        env=made.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(run: "subprocess.Popen[str]") -> None:
    """Waits for the end of a run, which must be a good one."""
    printed, _ = run.communicate()
    assert run.returncode == 0, printed


def finish_without_its_node(run: "subprocess.Popen[str]", slurm: Slurm, mark: Path) -> None:
    """Kills the node of the only job, releases its stage, and waits for a good end of the run."""
    ((_, node),) = slurm.jobs()
    number = int(node.removeprefix("n"))
    slurm.kill_node(number)
    mark.unlink()
    try:
        finish(run)
    finally:
        slurm.start_node(number)


def hold(made: Project, address: str, pauses: Path) -> Path:
    """Pauses a stage after its start, until the returned file is removed."""
    made.pauses = pauses
    mark = pauses / f"{address}@half"
    mark.touch()
    return mark


def await_reached(mark: Path) -> None:
    """Waits until the stage is held."""
    assert await_true(mark.with_name(f"{mark.name}.reached").exists, PATIENCE)


def assert_built(made: Project) -> None:
    """All outputs are those of a local build, and neither engine has anything to do."""
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)
