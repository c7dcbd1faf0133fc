"""What a stage has made is kept for all projects of a user."""

import os
from pathlib import Path

import pytest

from graft.integrity.damage import hash_file
from graft.integrity.records import Made
from graft.project import user_cache
from graft.project.user_cache import KeptResult, find_kept

FROM = Made("graft backbone", {"image.side": 32}, {"models": "keras 3"}, {"code": "1a"}, {})


@pytest.fixture
def user(empty: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty / "cache"))
    return empty / "cache/graft"


def write(folder: str, text: str = "whole") -> dict[Path, Path]:
    """Two outputs in a folder."""
    paths = [Path(folder, name) for name in ("graph.xml", "graph.bin")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text} {path.name}")
    return {Path("data", path.name): path for path in paths}


def keep(kept: KeptResult) -> None:
    """Keeps the two outputs, as the launcher does."""
    written = write("here")
    kept.keep(written, {str(path): hash_file(part) for path, part in written.items()})


def texts(written: dict[Path, Path]) -> list[str]:
    return [path.read_text() for path in written.values() if path.exists()]


def test_what_one_project_makes_another_one_takes(user: Path) -> None:
    kept, there = find_kept(FROM, True), write("there", "old")
    assert not kept.take(there)
    keep(kept)
    assert kept.folder.parent == user and find_kept(FROM, True).take(there)
    assert texts(there) == texts(write("here"))
    assert not find_kept(FROM, False).take(there)  # it is to be made anew


def test_all_that_it_is_made_from_counts(user: Path) -> None:
    Path("weights.h5").write_text("one")
    Path("data").mkdir()
    made = FROM._replace(dependencies={"code": "1a", "weights.h5": None, "data": None})
    others = [
        made._replace(command="graft other"),
        made._replace(parameters={"image.side": 64}),
        made._replace(libraries={"models": "keras 4"}),
        made._replace(dependencies={**made.dependencies, "code": "2b"}),
    ]
    names = {find_kept(one, True).folder for one in (made, *others)}
    for path in ("weights.h5", "data/more.h5"):
        Path(path).write_text("two")
        names.add(find_kept(made, True).folder)
    assert len(names) == 7
    assert find_kept(made._replace(outputs={"graph.xml": "3c"}), True).folder in names


def test_code_that_is_not_known_is_not_taken(user: Path) -> None:
    assert find_kept(FROM._replace(dependencies={"code": ""}), True) is None


@pytest.mark.parametrize("damage", ["half", "without", "no hashes", "other hashes"])
def test_what_is_damaged_is_made_again(user: Path, damage: str) -> None:
    kept = find_kept(FROM, True)
    keep(kept)
    match damage:
        case "half":
            (kept.folder / "graph.bin").write_text("who")
        case "without":
            (kept.folder / "graph.bin").unlink()
        case "no hashes":
            (kept.folder / "hashes.json").write_text("[")
        case "other hashes":
            (kept.folder / "hashes.json").write_text("[1]")
    there = write("there", "old")
    assert not kept.take(there) and texts(there) == []
    keep(kept)
    assert kept.take(there) and texts(there) == texts(write("here"))


def test_a_folder_that_cannot_be_written_to_is_none(user: Path) -> None:
    user.parent.write_text("a file is where the folder should be")
    kept = find_kept(FROM, True)
    keep(kept)
    assert not kept.take(write("there"))


def test_what_was_not_used_for_longest_goes_first(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [KeptResult(user / name, True) for name in "abc"]
    for age, one in enumerate(kept):
        keep(one)
        os.utime(one.folder, (1e9 + age, 1e9 + age))
    assert kept[0].take(write("there"))  # it is used now
    (user / ".part-old").mkdir()
    os.utime(user / ".part-old", (1e9, 1e9))
    (user / ".part-new").mkdir()
    size = sum(file.stat().st_size for file in kept[0].folder.iterdir())
    monkeypatch.setattr(user_cache, "_MOST", 2 * size)
    keep(KeptResult(user / "d", True))
    assert {path.name for path in user.iterdir()} == {"a", "d", ".part-new"}
