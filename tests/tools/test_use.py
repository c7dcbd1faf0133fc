"""`graft use`: a recipe becomes params.yaml, and nothing is lost.

What it refuses is in `test_misuse.py`.
"""

import os
import shutil
from pathlib import Path

import pytest

from graft.integrity.ground import flatten
from graft.integrity.yaml12 import read_yaml
from graft.project.choices import CHOICES, choose_network
from graft.project.parameters import read_parameters
from graft.project.recipes import compose_parameters, list_recipes
from images import ROOT, classes, complaint, graft, write
from repositories import commit, git


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with recipes in a git repository, whose params.yaml is committed."""
    shutil.copytree(ROOT / "workflow/recipes", tmp_path / "workflow/recipes")
    text = compose_parameters("digits", {})
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "start")
    return tmp_path


def values(place: Path) -> dict[str, object]:
    return flatten(read_parameters(place / "params.yaml"))


def use(place: Path, *arguments: str) -> str:
    """Runs the command, which must go well: what it prints."""
    status, out, errors = graft(place, "use", *arguments)
    assert (status, errors) == (0, "")
    return out


def test_alone_it_lists_the_recipes_in_a_line_each(place: Path) -> None:
    out = use(place)
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert listed == list_recipes()
    assert max(map(len, out.splitlines())) <= 110


def test_set_alone_changes_these_values_and_keeps_the_rest(place: Path) -> None:
    before = (place / "params.yaml").read_text(encoding="utf-8")
    (place / "params.yaml").write_text(before.replace("seed: 1 ", "seed: 7 "), encoding="utf-8")
    rule = r"([^/\d]+?)[-_. (]*\d+\.\w+$"
    out = use(place, "--set", f"dataset.label={rule}", "--set", "image.side=64")
    assert out == f"dataset.label: auto → {rule}\nimage.side: 32 → 64\n"
    after = (place / "params.yaml").read_text(encoding="utf-8")
    assert values(place)["dataset.label"] == rule and "seed: 7 " in after
    changed = set(after.splitlines()) - set(before.splitlines())
    assert len(changed) == 2 + before.count("seed: 1 ")
    assert use(place, "--set", "image.side=64") == "params.yaml is as before\n"
    assert "image.side must be" in complaint(place, "use", "--set", "image.side=1")
    assert (place / "params.yaml").read_text(encoding="utf-8") == after


def test_it_writes_a_complete_commented_file_and_names_what_differs(place: Path) -> None:
    before = values(place)
    out = use(place, "fashion-cnn")
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
    out = use(place, "digits", "--images", "it's mine", *changes)
    assert "The images are not" not in out
    own = {"dataset.path": "it's mine", "head.epochs": 3}
    own |= {"head.kind": "dense", "head.stack": ["dense 8", "norm"]}
    assert values(place) == flatten(read_parameters(ROOT / "params.yaml")) | own
    # A rate is a number, however it is written.
    use(place, "digits", "--force", "--set", "head.learning_rate=1e-3")
    assert values(place)["head.learning_rate"] == 0.001


def test_what_git_does_not_have_is_not_overwritten(place: Path) -> None:
    path = place / "params.yaml"
    own = path.read_text(encoding="utf-8").replace("epochs: 40 ", "epochs: 41 ")
    path.write_text(own, encoding="utf-8")
    assert complaint(place, "use", "fashion-cnn") == (
        "params.yaml must be in git before it is overwritten:"
        " `git add params.yaml`, or give --force. Received: head.epochs: 40 → 41"
    )
    assert path.read_text(encoding="utf-8") == own
    git(place, "add", "params.yaml")
    use(place, "fashion-cnn")
    # What git has anywhere in its history can be overwritten.
    use(place, "digits", "--force")
    use(place, "fashion-cnn")


def test_what_it_has_written_itself_is_overwritten(place: Path) -> None:
    use(place, "fashion-cnn")
    use(place, "photos", "--set", "finetune.epochs=3")
    use(place, "--set", "finetune.epochs=4")
    use(place, "fashion-cnn")
    path = place / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    use(place, "--set", "finetune.epochs=4")  # a person's own line is still there
    assert "must be in git" in complaint(place, "use", "photos")


def test_a_large_cache_is_told(place: Path) -> None:
    write(place, {".dvc/cache/files/md5/ab/c": b""})
    assert "cache" not in use(place, "digits")
    os.truncate(place / ".dvc/cache/files/md5/ab/c", 12_300_000_000)  # a hole takes no room
    assert "DVC's cache has 12 GB: `uv run dvc gc --all-commits" in use(place, "digits")


def test_force_overwrites_anything(place: Path) -> None:
    (place / "params.yaml").write_text("no: [parameters", encoding="utf-8")
    assert graft(place, "use", "digits")[0] == 2
    use(place, "digits", "--force")
    assert values(place)


def test_without_git_a_new_file_is_written_and_an_old_one_kept(place: Path) -> None:
    shutil.rmtree(place / ".git")
    assert "`git init && git add params.yaml`" in complaint(place, "use", "fashion-cnn")
    (place / "params.yaml").unlink()
    use(place, "fashion-cnn")


class TestImages:
    """Any path that a shell understands."""

    @staticmethod
    def used(place: Path, path: str) -> tuple[object, str]:
        """The value of `dataset.path` for a path as it is typed, and what was printed."""
        out = use(place, "photos", "--force", "--images", path)
        return values(place)["dataset.path"], out

    def test_inside_the_project_it_is_relative(self, place: Path) -> None:
        (place / "data/raw/mine").mkdir(parents=True)
        for typed in ("data/raw/mine", "./data/raw/../raw/mine/", str(place / "data/raw/mine")):
            path, out = self.used(place, typed)
            assert path == "data/raw/mine" and "outside" not in out

    def test_outside_it_is_absolute_and_explained(
        self, place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        home = tmp_path_factory.mktemp("home")
        (home / "my pictures").mkdir()
        monkeypatch.setenv("HOME", str(home))
        relative = os.path.relpath(home / "my pictures", place)
        for typed in ("~/my pictures", relative, str(home / "my pictures")):
            path, out = self.used(place, typed)
            assert path == str(home / "my pictures")
            assert "outside the project: DVC notices every change" in out

    def test_a_link_stays_one(self, place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        (place / "mine").symlink_to(tmp_path_factory.mktemp("elsewhere"))
        assert self.used(place, "mine")[0] == "mine"


class TestNetwork:
    """`--network` brings its weights and its side."""

    @pytest.mark.parametrize(
        ("given", "choice"),
        [
            *CHOICES.items(),
            ("Xception", ("Xception", 299)),
            ("MobileNetV2", CHOICES["fast"]),
            ("hub/vit_base_patch16_384_imagenet", ("hub/vit_base_patch16_384_imagenet", 384)),
            ("hub/dinov3_vit_small_lvd1689m", ("hub/dinov3_vit_small_lvd1689m", 224)),
        ],
    )
    def test_by_its_use_or_by_name(self, place: Path, given: str, choice: tuple) -> None:
        use(place, "photos", "--network", given)
        found = values(place)
        of_hub = choice[0].startswith("hub/")
        assert found["backbone.weights"] == ("preset" if of_hub else "imagenet")
        assert (found["finetune.unfreeze"] == "none") == of_hub
        assert (found["backbone.name"], found["image.side"]) == choice
        if given == "modern":
            assert found["backbone.pooling"] == "token_avg" and found["head.kind"] == "logistic"

    def test_how_long_the_features_take_is_said(self, place: Path) -> None:
        write(place / "mine", classes({"a": 15, "b": 15}))
        said = use(place, "photos", "--images", "mine", "--network", "modern")
        assert "The features of 30 photos take about 2 s on two cores (12 photos a second)" in said

    def test_a_value_that_is_set_wins(self, place: Path) -> None:
        arguments = ["--network", "balanced", "--set", "image.side=96"]
        use(place, "photos", *arguments)
        assert values(place)["image.side"] == 96


def test_the_recipe_for_photos_is_the_fast_network() -> None:
    own = flatten(read_yaml(compose_parameters("photos", {}).encode()))
    assert own | choose_network("fast") == own
