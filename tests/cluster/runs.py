"""Runs on a cluster in the background, in which a stage can be held."""

from collections.abc import Iterator
from contextlib import contextmanager

from background import Run
from cluster.slurm import Slurm
from project import Project, reached

PROFILE = ("--profile", "workflow/profiles/slurm")
PATIENCE = 120.0  # seconds


def start(made: Project, *more: str) -> Run:
    """Submits what is stale, and stays until it is built."""
    return made.start("snakemake", *PROFILE, *more)


@contextmanager
def held(made: Project, address: str, *more: str) -> Iterator[Run]:
    """A run whose stage is held for as long as the block lasts."""
    mark = made.hold(address)
    run = start(made, *more)
    assert run.wait_until(lambda: reached(mark), PATIENCE), run.text
    yield run
    mark.unlink()


def lose_its_node(made: Project, slurm: Slurm, address: str) -> None:
    """Kills the node of the only job, in mid-stage; the run must have a good end nevertheless."""
    with held(made, address) as run:
        ((_, node),) = slurm.jobs()
        number = int(node.removeprefix("n"))
        slurm.kill_node(number)
    try:
        run.end()
    finally:
        slurm.start_node(number)
