"""`graft use`: a recipe becomes params.yaml, and nothing is lost."""

import shutil
import subprocess
from pathlib import Path

import pytest

from graft.project.parameters import flatten, read_parameters
from graft.project.recipes import compose_parameters, list_recipes
from images import ROOT, graft


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with recipes in a git repository, whose params.yaml is committed."""
    shutil.copytree(ROOT / "workflow/recipes", tmp_path / "workflow/recipes")
    text = compose_parameters("digits", {})
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
        subprocess.run(["git", *who, *command], cwd=tmp_path, check=True)
    return tmp_path


def values(place: Path) -> dict[str, object]:
    return flatten(read_parameters(place / "params.yaml"))


def test_alone_it_lists_the_recipes_in_a_line_each(place: Path) -> None:
    status, out, errors = graft(place, "use")
    assert (status, errors) == (0, "")
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == list_recipes()
    assert max(map(len, out.splitlines())) <= 110


def test_it_writes_a_complete_commented_file_and_names_what_differs(place: Path) -> None:
    before = values(place)
    status, out, errors = graft(place, "use", "fashion-cnn")
    assert (status, errors) == (0, "")
    text = (place / "params.yaml").read_text(encoding="utf-8")
    assert text == compose_parameters("fashion-cnn", {})
    after = values(place)
    assert list(after) == list(before)
    assert text.count("#") == compose_parameters("digits", {}).count("#")
    assert "  head.epochs: 40 → 1\n" in out
    assert out.count(" → ") == sum(before[key] != after[key] for key in before)
    assert "data/raw/fashion.zip yet: workflow/recipes/fashion-cnn.yaml says" in out


def test_images_and_values_of_ones_own(place: Path) -> None:
    (place / "it's mine").mkdir()
    stack = ["--set", "head.kind=dense", "--set", "head.stack=[dense 8, norm]"]
    changes = ["--set", "head.epochs=3", *stack]
    status, out, _ = graft(place, "use", "digits", "--images", "it's mine", *changes)
    assert status == 0 and "yet" not in out
    own = {"dataset.path": "it's mine", "head.epochs": 3}
    own |= {"head.kind": "dense", "head.stack": ["dense 8", "norm"]}
    assert values(place) == flatten(read_parameters(ROOT / "params.yaml")) | own
    # A rate is a number, however it is written.
    graft(place, "use", "digits", "--force", "--set", "head.learning_rate=1e-3")
    assert values(place)["head.learning_rate"] == 0.001


def test_what_git_does_not_have_is_not_overwritten(place: Path) -> None:
    path = place / "params.yaml"
    own = path.read_text(encoding="utf-8").replace("epochs: 40 ", "epochs: 41 ")
    path.write_text(own, encoding="utf-8")
    status, out, errors = graft(place, "use", "fashion-cnn")
    assert (status, out) == (2, "")
    assert errors == (
        "graft use: error: params.yaml must be in git before it is overwritten:"
        " `git add params.yaml`, or give --force. Received: head.epochs: 40 → 41\n"
    )
    assert path.read_text(encoding="utf-8") == own
    subprocess.run(["git", "add", "params.yaml"], cwd=place, check=True)
    assert graft(place, "use", "fashion-cnn")[0] == 0
    # What git has anywhere in its history can be overwritten.
    assert graft(place, "use", "digits", "--force")[0] == 0
    assert graft(place, "use", "fashion-cnn")[0] == 0


def test_force_overwrites_anything(place: Path) -> None:
    (place / "params.yaml").write_text("no: [parameters", encoding="utf-8")
    assert graft(place, "use", "digits")[0] == 2
    assert graft(place, "use", "digits", "--force")[0] == 0
    assert values(place)


def test_without_git_a_new_file_is_written_and_an_old_one_kept(place: Path) -> None:
    shutil.rmtree(place / ".git")
    assert graft(place, "use", "fashion-cnn")[0] == 2
    (place / "params.yaml").unlink()
    assert graft(place, "use", "fashion-cnn")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "a recipe must be one of cats-dogs-inceptionv3, "),
        (["../../params"], "a recipe must be one of "),
        (["digits", "--set", "head.epoch=3"], "(did you mean epochs?). Received: 'epoch'"),
        (["digits", "--set", "head.epochs=x"], "head.epochs must be a whole number"),
        (["digits", "--set", "head.epochs=3.0"], "head.epochs must be a whole number"),
        (["digits", "--set", "head=3"], "head must be a section with the keys"),
        (["digits", "--set", "nothing.x=1"], "nothing is unknown; it must be one of dataset"),
        (["digits", "--set", "head.epochs"], "--set must be KEY=VALUE"),
        (["digits", "--set", "head.epochs=["], "--set head.epochs must be YAML"),
        (["digits", "--images", "nowhere"], "--images must be a file or folder that exists"),
        (["digits", "--set", "split.test=0.5"], "shares that sum to 1"),
    ],
)
def test_a_mistake_is_one_message_and_changes_nothing(
    place: Path, arguments: list[str], message: str
) -> None:
    before = (place / "params.yaml").read_bytes()
    status, out, errors = graft(place, "use", *arguments)
    assert (status, out) == (2, "")
    assert errors.startswith("graft use: error: ") and errors.count("\n") == 1
    assert message in errors
    assert "Received: " in errors
    assert (place / "params.yaml").read_bytes() == before
