"""What is code, for graft and for DVC alike: all files of the package, and nothing beside them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from graft.integrity.damage import hash_folder, hash_list
from graft.integrity.ground import sign
from graft.project.pipeline import PACKAGE
from images import ROOT
from project import Project

# What Emacs, Vim, nano, Kate, patch and systems leave beside a file.
LEFT = (".head.py.swp", "head.py~", ".DS_Store", "4913", "#head.py#", "head.py.orig", "._head.py")


def test_every_file_of_the_package_is_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", str(PACKAGE))
    listed = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    # Pictures that no stage reads: the check of an export is tried on them.
    odd = f"{PACKAGE}/exporting/odd/"
    files = {n for n in listed.splitlines() if Path(n).is_file() and not n.startswith(odd)}
    if not files:
        pytest.skip("there is no git here")
    assert set(sign(PACKAGE)) == files


def test_a_project_may_lie_in_a_hidden_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / ".hidden/project"
    shutil.copytree(ROOT / PACKAGE / "head", project / PACKAGE / "head")
    monkeypatch.chdir(project)
    room = PACKAGE / "head"
    assert hash_folder(room) == hash_folder(room.absolute()) != hash_list({})


def test_graft_and_dvc_hash_the_same_code(
    standins: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to nothing, a pipe and files of editors make nothing stale, and stop nothing."""
    monkeypatch.chdir(standins.folder)
    room = PACKAGE / "head"
    before = hash_folder(room)
    for name in LEFT:
        (room / name).write_text("left", encoding="utf-8")
    (room / ".#head.py").symlink_to("me@host.4711:1")
    (room / ".vscode").mkdir()
    (room / ".vscode/settings.json").write_text("{}", encoding="utf-8")
    os.mkfifo(room / "pipe")
    for folder in ("data/raw/tiny/a", "data/pretrained"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            Path(folder, name).write_text("left", encoding="utf-8")
    assert hash_folder(room) == hash_folder(room.absolute()) == before
    assert standins.dvc("status").strip().endswith("up to date.")
    (room / "new.py").touch()
    assert hash_folder(room) != before
    assert "modified:           workflow/graft/head" in standins.dvc("status")
