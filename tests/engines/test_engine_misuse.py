"""What new users mistype to the engines: one message of three lines at most, last on the screen.

What they do wrong with graft's own commands is in `tools/test_misuse.py`.
"""

import contextlib
import re
import shutil
from collections.abc import Callable

import pytest

import standin
from graft.common.errors import UserError
from graft.project.pipeline import find_leftovers, remove_leftovers
from project import Project

SNAKEMAKE, REPRO = ("snakemake", "--cores", "2"), ("dvc", "repro")
Change = Callable[[Project], object]


def nothing(made: Project) -> None:
    """Changes nothing: the command itself is wrong."""


def added(text: str) -> Change:
    """Lines more in params.yaml."""

    def add(made: Project) -> None:
        with (made.folder / "params.yaml").open("a", encoding="utf-8") as file:
            file.write(text)

    return add


def changed(key: str, value: object) -> Change:
    """Another value in params.yaml."""
    return lambda made: made.change({key: value})


def no_images(made: Project) -> None:
    (made.folder / "data/raw/tiny").rename(made.folder / "data/raw/elsewhere")


def conflict(made: Project) -> None:
    lock = made.folder / "dvc.lock"
    lock.write_text("<<<<<<< ours\n" + lock.read_text(encoding="utf-8"), encoding="utf-8")


# Eleven lines whose aliases repeat a value 10¹⁰ times; DVC would write them all out.
REPEATED = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)]
ALIASES = "".join(["a0: &a0 x\n", *REPEATED])
TOO_MANY = "error: params.yaml must be YAML .* aliases that repeat more than 10,000"
PATH = r"params.yaml: dataset.path must be a file or folder that exists.*Received: "
BIG = "image.side must be a whole number .* Received: 'big'"
BAD = "graft split: error: .*dataset.max_bad"
MISUSES: list[tuple[Change, tuple[str, ...], str]] = [
    (nothing, ("snakemake",), "Error: cores have to be specified"),
    (nothing, (*SNAKEMAKE, "finetuned"), "No rule to produce finetuned"),
    (nothing, (*REPRO, "finetuned"), "Stage 'finetuned' not found"),
    (added("more: [\n"), SNAKEMAKE, "snakemake: error: params.yaml must be YAML"),
    (added(ALIASES), SNAKEMAKE, TOO_MANY),
    (added("surplus: 1\n"), REPRO, "params.yaml: surplus is unknown"),
    (no_images, SNAKEMAKE, f"snakemake: error: {PATH}'data/raw/tiny'"),
    (changed("image.side", "big"), SNAKEMAKE, BIG),
    (changed("backbone.name", "mobilenetv2"), SNAKEMAKE, "did you mean MobileNetV2"),
    (changed("dataset.max_bad", standin.FAILING), SNAKEMAKE, BAD),
    (changed("dataset.max_bad", standin.FAILING), REPRO, BAD),
    (conflict, SNAKEMAKE, "snakemake: error: .*dvc.lock"),
]
# What the engines say of stages and of themselves.
STAGE = re.compile(r"[\w@]+ +(failed|\d[\d.]* s)\b|Stage '|Running stage|> |Using workflow |$")


@pytest.mark.parametrize("misuse", range(len(MISUSES)))
def test_misuse_is_one_message_at_the_end(standins: Project, misuse: int) -> None:
    change, command, message = MISUSES[misuse]
    change(standins)
    printed = standins.run(*command, status=None)
    lines = [line for line in printed.splitlines() if not STAGE.match(line)]
    assert re.search(message, " ".join(lines)), printed
    assert len(lines) <= 3 and "Traceback" not in printed
    assert not STAGE.match(printed.splitlines()[-1])


def both_refuse(made: Project, message: str) -> None:
    for status, *command in ((2, *SNAKEMAKE), (None, *REPRO)):
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
