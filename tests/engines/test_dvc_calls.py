"""What graft relies on of DVC, held against the installed release (`scheduling/dvc_calls.py`)."""

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from graft.integrity.damage import hash_file, hash_folder
from graft.integrity.records import read_entries, read_locked, take_made
from graft.project.pipeline import declarations
from graft.scheduling import dvc_calls
from images import write
from project import UP_TO_DATE, Project

FIRST = {"cmd": "mkdir -p made; cp code/* made", "deps": ["code"]}
FIRST["outs"] = ["made/a.txt", "made/b.txt"]
SECOND = {"cmd": "cat made/a.txt > out.txt; cp out.txt kept.json", "deps": ["made"]}
SECOND |= {"params": ["rate", {"other.yaml": ["x"]}], "outs": ["out.txt"]}
SECOND["metrics"] = [{"kept.json": {"cache": False}}]


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository of DVC that has nothing to do with graft, which was built once."""
    made = Project(tmp_path / "plain")
    texts = {"code/a.txt": '{"a": 1}', "code/b.txt": "b", "params.yaml": "rate: 0.1\n"}
    texts |= {"other.yaml": "x: [1, {y: 2}]\n", ".dvcignore": "made/.gitignore\n"}
    stages = {"stages": {"first": FIRST, "second": SECOND}}
    texts["dvc.yaml"] = yaml.safe_dump(stages)
    write(made.folder, {name: text.encode() for name, text in texts.items()})
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", f"{made.folder}.site")
    made.run("git", "init", "--quiet")
    made.dvc("init", "--quiet")
    made.dvc("repro")
    return made


def test_another_repository_is_as_without_graft(plain: Project) -> None:
    assert {path.name for path in plain.folder.iterdir()} == {
        *(".dvcignore", "code", "dvc.lock", "dvc.yaml", "kept.json", "made", "other.yaml"),
        *("out.txt", "params.yaml", ".gitignore", ".dvc", ".git"),
    }
    modules = "import sys, dvc.commands.repro; print([n for n in sys.modules if 'graft' in n])"
    assert plain.run(sys.executable, "-c", modules) == "[]\n"


def test_entries_are_those_that_dvc_writes(plain: Project) -> None:
    before = Path("dvc.lock").read_bytes()
    with dvc_calls.open_repository() as repo:
        entries = {}
        for address, stage in dvc_calls.find_stages(repo).items():
            assert dvc_calls.ask(stage) == []
            entries[address] = dvc_calls.hash_stage(stage)
    assert json.loads(json.dumps(entries)) == read_entries()
    Path("dvc.lock").unlink()
    dvc_calls.write_lock(dict(sorted(entries.items())))
    assert Path("dvc.lock").read_bytes() == before
    made = read_locked()["second"]
    assert made == take_made(entries["second"])
    assert made.parameters == {"rate": 0.1}
    assert made.outputs["out.txt"] == hash_file(Path("out.txt"))
    assert made.dependencies == {"made": hash_folder(Path("made"))}
    assert plain.dvc("status").strip().endswith(UP_TO_DATE)


def test_what_was_there_once_is_restored_and_nothing_else(plain: Project) -> None:
    first = Path("out.txt").read_bytes()
    Path("code/a.txt").write_text('{"a": 2}')
    plain.dvc("repro")
    Path("code/a.txt").write_text('{"a": 1}')
    with dvc_calls.open_repository() as repo:
        stages = dvc_calls.find_stages(repo)
        for address in ("first", "second"):
            assert (changes := dvc_calls.ask(stages[address]))
            assert dvc_calls.restore(repo, stages[address], changes) is not None
        assert not dvc_calls.list_damaged_entries(repo)
    assert Path("out.txt").read_bytes() == first
    Path("code/a.txt").write_text('{"a": 3}')
    with dvc_calls.open_repository() as repo:
        stage = dvc_calls.find_stages(repo)["first"]
        assert dvc_calls.restore(repo, stage, dvc_calls.ask(stage)) is None


def test_what_was_told_is_in_lock_and_both_caches(plain: Project) -> None:
    Path("code/a.txt").write_text('{"a": 4}')
    subprocess.run(f"{FIRST['cmd']}; {SECOND['cmd']}", shell=True, check=True)
    with dvc_calls.open_repository() as repo:
        entries = {}
        for address, stage in dvc_calls.find_stages(repo).items():
            entries[address] = dvc_calls.hash_stage(stage)
            dvc_calls.keep_outputs(repo, stage)
    dvc_calls.write_lock(entries)
    assert plain.dvc("status").strip().endswith(UP_TO_DATE)
    for path in ("out.txt", "kept.json", "dvc.lock"):
        Path(path).unlink()
    assert "> " not in plain.dvc("repro")  # all comes from the run cache


def test_a_missing_output_is_said(plain: Project) -> None:
    Path("out.txt").unlink()
    with dvc_calls.open_repository() as repo:
        assert "out.txt" in dvc_calls.hash_stage(dvc_calls.find_stages(repo)["second"])


CLAIM = """
    import contextlib, sys, time
    from functools import partial
    from graft.scheduling.dvc_calls import claim_folders, open_repository
    claims = contextlib.ExitStack()
    with open_repository(lambda repo: claims.enter_context(claim_folders(repo, ["out.txt"]))):
        pass
    print("claimed", flush=True)
    sys.stdin.read()
    claims.close()
"""


def test_who_claims_results_is_named_by_dvc_and_waited_for(plain: Project) -> None:
    Path("code/a.txt").write_text('{"a": 5}')
    code = [sys.executable, "-c", textwrap.dedent(CLAIM)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    one = subprocess.Popen(code, env=plain.environment(), **pipes)
    assert one.stdout.readline() == b"claimed\n"
    assert f"(PID {one.pid})" in plain.dvc("repro", status=255)
    other = subprocess.Popen(code, env=plain.environment(), **pipes)
    assert f"waiting for DVC: (PID {one.pid})" in other.stderr.readline().decode()
    one.communicate()
    assert other.stdout.readline() == b"claimed\n"
    other.kill()
    other.communicate()
    plain.dvc("repro")  # one that was killed blocks nobody


def test_a_list_of_processes_that_is_cut_is_removed(plain: Project) -> None:
    Path(".dvc/tmp/rwlock").write_text('{"write": {')
    with contextlib.ExitStack() as claims:

        def claim(repo: object) -> None:
            claims.enter_context(dvc_calls.claim_folders(repo, ["out.txt"]))

        with dvc_calls.open_repository(claim):
            assert str(os.getpid()) in Path(".dvc/tmp/rwlock").read_text()
    plain.dvc("repro")


def test_records_are_what_dvc_would_write(standins: Project, monkeypatch) -> None:
    """A stage's own record and DVC's entry say the same, of every stage."""
    from graft.integrity.ground import flatten
    from graft.project.parameters import read_parameters
    from graft.project.upstream import describe_stage

    monkeypatch.chdir(standins.folder)
    values = read_parameters()
    stages, locked = declarations(values), read_locked()
    for stage in stages:
        now = describe_stage(stage, stages, flatten(values))
        assert not list(locked[stage.address].find_changes(now)), stage.address
        assert set(now.dependencies) == set(locked[stage.address].dependencies)
