"""The real stages, built once by each engine: the same bytes.

In DVC's build each stage runs in a folder with only its declared inputs.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import alone
import project
from graft.project.pipeline import PACKAGE
from project import Project
from test_engines import FRESH, UP_TO_DATE

# Every stage has something to do.
CHANGES = project.TINY | {
    "augment.zoom": 0.1,
    "augment.copies": 1,
    "finetune.unfreeze": "auto",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """Two projects, one built by Snakemake and one by DVC."""
    top = tmp_path_factory.mktemp("build")
    made = {name: project.make(top / name, CHANGES) for name in ("snakemake", "repro")}
    command = top / "commands/graft"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {alone.__file__} "$@"\n')
    command.chmod(0o755)
    made["repro"].commands = command.parent
    with ThreadPoolExecutor(2) as pool:
        ways = made["snakemake"].snakemake, lambda: made["repro"].dvc("repro")
        for done in [pool.submit(way) for way in ways]:
            done.result()
    return made


def test_both_engines_give_the_same_bytes(built: dict[str, Project]) -> None:
    one, other = (made.outputs() for made in built.values())
    assert one == other


def test_nothing_is_left_to_do(built: dict[str, Project]) -> None:
    for made in built.values():
        assert FRESH in made.snakemake()
        assert made.dvc("status").strip().endswith(UP_TO_DATE)


def test_a_log_is_about_the_job(built: dict[str, Project]) -> None:
    """Rules list data and a flag, no code."""
    logs = list((built["snakemake"].folder / ".snakemake/log").glob("*.log"))
    assert logs
    assert all(str(PACKAGE) not in log.read_text(encoding="utf-8") for log in logs)
