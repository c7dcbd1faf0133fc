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


def broken_yaml(made: Project) -> None:
    with (made.folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("more: [\n")


def aliases(made: Project) -> None:
    """Eleven lines whose aliases repeat a value 10¹⁰ times; DVC would write them all out."""
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)]
    with (made.folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.writelines(["a0: &a0 x\n", *lines])


def surplus_key(made: Project) -> None:
    with (made.folder / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("surplus: 1\n")


def no_images(made: Project) -> None:
    (made.folder / "data/raw/tiny").rename(made.folder / "data/raw/elsewhere")


def text_for_a_number(made: Project) -> None:
    made.change({"image.side": "big"})


def wrong_network(made: Project) -> None:
    made.change({"backbone.name": "mobilenetv2"})


def bad_images(made: Project) -> None:
    made.change({"dataset.max_bad": standin.FAILING})


def conflict(made: Project) -> None:
    lock = made.folder / "dvc.lock"
    lock.write_text("<<<<<<< ours\n" + lock.read_text(encoding="utf-8"), encoding="utf-8")


PATH = r"params.yaml: dataset.path must be a file or folder that exists.*Received: "
MISUSES: list[tuple[Change, tuple[str, ...], str]] = [
    (nothing, ("snakemake",), "Error: cores have to be specified"),
    (nothing, (*SNAKEMAKE, "finetuned"), "No rule to produce finetuned"),
    (nothing, (*REPRO, "finetuned"), "Stage 'finetuned' not found"),
    (broken_yaml, SNAKEMAKE, "snakemake: error: params.yaml must be YAML"),
    (
        aliases,
        SNAKEMAKE,
        "error: params.yaml must be YAML .* aliases that repeat more than 10,000",
    ),
    (surplus_key, REPRO, "params.yaml: surplus is unknown"),
    (no_images, SNAKEMAKE, f"snakemake: error: {PATH}'data/raw/tiny'"),
    (text_for_a_number, SNAKEMAKE, "image.side must be a whole number .* Received: 'big'"),
    (wrong_network, SNAKEMAKE, "did you mean MobileNetV2"),
    (bad_images, SNAKEMAKE, "graft split: error: .*dataset.max_bad"),
    (bad_images, REPRO, "graft split: error: .*dataset.max_bad"),
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
    for status, *command in ((2, "snakemake", "--cores", "1"), (None, "dvc", "repro")):
        printed = standins.run(*command, status=status)
        assert "error: data/tensors must be a folder of the project" in printed
        assert "Traceback" not in printed
    assert (outside / "2024.npy").read_text() == "mine"
