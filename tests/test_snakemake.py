"""What Snakemake's users know and do: its options, locks and signals, around stand-in stages."""

import re

import pytest

from project import Project


def test_a_stage_is_built_by_name(standins: Project) -> None:
    assert "didn't change, skipping" in standins.run("graft", "build", "tensors@0")
    assert "> graft tensors 0" in standins.run("graft", "build", "tensors@0", "--force")
    standins.change({"head.learning_rate": -1})
    assert "must be" in standins.run("graft", "build", "head", status=255)


@pytest.mark.parametrize("name", ["tensors", "tensors@9", "all", "dvc.yaml", ""])
def test_an_unknown_stage_is_one_message(standins: Project, name: str) -> None:
    printed = standins.run("graft", "build", name, status=2)
    assert re.fullmatch(rf"graft build: error: a stage must be one of .*: '{name}'\n", printed)
