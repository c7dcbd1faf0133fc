"""What new users mistype to the engines: one message of three lines at most, last on the screen.

What they do wrong with graft's own commands is in `tools/test_misuse.py`.
"""

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cases import read_cases
from graft.common.errors import UserError
from graft.project.pipeline import find_leftovers, remove_leftovers
from project import Project

# Eleven lines whose aliases repeat a value 10¹⁰ times; DVC would write them all out.
REPEATED = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)]
ALIASES = "".join(["a0: &a0 x\n", *REPEATED])
TOO_MANY = "error: params.yaml must be YAML .* aliases that repeat more than 10,000"
MISUSES = [*read_cases(__file__)["misuses"], [{"added": ALIASES}, "snakemake --cores 2", TOO_MANY]]


def misuse(
    made: Project,
    changed: Mapping[str, object] | None = None,
    added: str = "",
    renamed: Sequence[str] = (),
    conflict: str = "",
) -> None:
    """What someone does before the command.

    Args:
        made: the project.
        changed: values in params.yaml.
        added: lines more in it.
        renamed: a folder, and its new name.
        conflict: a file that a merge has left with its marks.
    """
    made.change(changed or {})
    with (made.folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write(added)
    if renamed:
        made.run("mv", *renamed)
    if conflict:
        made.run("sed", "-i", "1i <<<<<<< ours", conflict)


# What the engines say of stages and of themselves.
STAGE = re.compile(r"[\w@]+ +(failed|\d[\d.]* s)\b|Stage '|Running stage|> |Using workflow |$")


@pytest.mark.parametrize("before, command, message", MISUSES, ids=range(len(MISUSES)))
def test_misuse_is_one_message_at_the_end(
    standins: Project, before: dict[str, Any], command: str, message: str
) -> None:
    misuse(standins, **before)
    printed = standins.run(*command.split(), status=None)
    lines = [line for line in printed.splitlines() if not STAGE.match(line)]
    assert re.search(message, " ".join(lines)), printed
    assert len(lines) <= 3 and "Traceback" not in printed
    assert not STAGE.match(printed.splitlines()[-1])


def both_refuse(made: Project, message: str) -> None:
    for status, *command in ((2, "snakemake", "--cores", "2"), (None, "dvc", "repro")):
        printed = made.run(*command, status=status)
        assert printed.count(message) == 1 and "Traceback" not in printed, printed


def test_neither_engine_removes_an_output_elsewhere(standins: Project) -> None:
    folder, out = standins.folder, "data/../../precious.txt"
    precious = folder.parent / "precious.txt"
    precious.write_text("mine")
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace("- data/warnings/manifest.json", f"- {out}"))
    before = {path: path.read_bytes() for path in folder.rglob("data/**/*") if path.is_file()}
    allowed = f"error: dvc.yaml: an output must be a file inside of the project. Received: {out!r}"
    printed = standins.snakemake(status=2)
    assert printed.count(allowed) == 1 and "Traceback" not in printed, printed
    assert "failed to reproduce" in standins.dvc("repro", status=255)  # DVC's own message
    assert precious.read_text() == "mine"
    assert before == {path: path.read_bytes() for path in before}


def test_outputs_follow_no_link(standins: Project) -> None:
    """Files of shards that are gone are removed, but not in the folders of others."""
    folder = standins.folder
    outside = folder.parent / "outside"
    shutil.move(folder / "data/tensors", outside)
    (folder / "data/tensors").symlink_to(outside)
    (outside / "2024.npy").write_text("mine")
    with contextlib.chdir(folder):
        assert find_leftovers()
        with pytest.raises(UserError, match=r"data/tensors must be a folder of the project"):
            remove_leftovers()
    both_refuse(standins, "error: data/tensors must be a folder of the project")
    assert (outside / "2024.npy").read_text() == "mine"
