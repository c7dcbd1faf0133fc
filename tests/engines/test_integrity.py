"""Nothing is recorded for what it was not made from.

The stages are stand-ins. A `graft` of the test's own stands before the real one where something has
to happen right after a stage, before DVC hashes anything.
"""

import os
import re
import sys
from pathlib import Path

import pytest

import project
import standin
from graft.project.pipeline import PACKAGE
from project import Project, assert_fresh, runs

MADE = "data/models/head.keras"


def after(made: Project, stage: str, command: str) -> None:
    """Lets a shell command run after each run of a stage, and before DVC takes any hash."""
    made.commands = made.folder.with_name("commands")
    made.commands.mkdir(exist_ok=True)
    script = made.commands / "graft"
    script.write_text(
        f'#!/bin/sh\n{project.BIN}/graft "$@"; status=$?\n'
        f'if [ "$1" = {stage} ]; then {command}; fi\nexit $status\n'
    )
    script.chmod(0o755)


def within(made: Project, stage: str, code: str) -> None:
    """Lets Python code run in a stage once, when it has read everything and written nothing."""
    (path,) = (made.folder / PACKAGE).glob(f"*/{stage}.py")
    text = path.read_text(encoding="utf-8")
    done = made.folder.with_name("done")
    extra = (
        f"    done = Path({str(done)!r})\n    if not done.exists():\n        done.touch()\n"
        + "".join(f"        {line}\n" for line in code.splitlines())
    )
    start = "    for path, part in stage.written.items():\n"
    assert start in text
    path.write_text(text.replace(start, extra + start), encoding="utf-8")


def assert_mended(made: Project) -> None:
    """One plain run makes everything right."""
    made.dvc("repro")
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)


EDIT = (
    "edited = Path('params.yaml').read_text().replace({})\nPath('params.yaml').write_text(edited)"
)


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("sed -i 's/learning_rate: 0.003/learning_rate: 0.5/' params.yaml", "head.learning_rate"),
        (f"echo '# new' >> {PACKAGE}/head/folds.py", f"{PACKAGE}/head"),
        (f"echo damage >> {MADE}", MADE),
    ],
)
def test_what_moves_before_dvc_hashes_it_is_not_recorded(
    standins: Project, command: str, what: str
) -> None:
    made = standins
    made.change({"head.seed": 2})
    after(made, "head", command)
    printed = made.dvc("repro", status=255)
    assert re.search(rf"nothing was kept; run it again. Received: .*{what}", printed)
    assert not (made.folder / MADE).exists()
    assert "Traceback" not in printed
    made.commands = project.BIN
    assert_mended(made)


def test_an_edit_between_two_stages_stops_the_run(standins: Project) -> None:
    made = standins
    made.change({"head.seed": 2})
    within(made, "finetune", EDIT.format("'learning_rate: 0.003', 'learning_rate: 0.5'"))
    printed = made.dvc("repro", status=255)
    assert "needs head made with the same settings" in printed
    assert "params.yaml: head.learning_rate is 0.5 and was 0.003" in printed
    assert_mended(made)


def damage(path: Path, kind: str) -> None:
    """Damages a file as a disk does: its mode stays."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    changed = {"flipped": data, "cut": data[:-3], "grown": data + b"!", "empty": b""}
    path.write_bytes(changed[kind])
    path.chmod(0o444)


def cached(made: Project, output: str) -> Path:
    """The file of an output in DVC's cache."""
    from graft.integrity.damage import hash_file

    name = hash_file(made.folder / output)
    return made.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


def test_a_damaged_file_of_the_cache_is_made_anew(standins: Project) -> None:
    made = standins
    damage(cached(made, MADE), "flipped")
    (made.folder / MADE).unlink()
    printed = made.dvc("repro")
    assert f"held a damaged copy of {MADE}" in printed
    assert runs(printed) == {"head"}
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)
    # Restored from the run cache, too.
    before = made.outputs()
    made.change({"head.learning_rate": 0.02})
    made.dvc("repro")
    damage(cached(made, MADE), "cut")
    made.run("git", "checkout", "--quiet", "params.yaml")
    made.dvc("repro")
    assert made.outputs() == before


def test_a_damaged_output_is_seen_though_its_time_is_as_before(standins: Project) -> None:
    made = standins
    made.dvc("status")  # DVC learns the times
    for name in ("data/units.csv", "reports/head/training.json"):
        path = made.folder / name
        data, times = path.read_bytes(), path.stat()
        path.write_bytes(b"x" + data[1:])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    # A stage alone does not run on it; the whole pipeline mends it.
    made.change({"head.seed": 2})
    printed = made.dvc("repro", "--single-item", "head", status=255)
    assert "data/units.csv must be what split wrote" in printed
    assert_mended(made)


def test_an_experiment_runs_the_code_of_its_commit(standins: Project) -> None:
    """The package in the main folder is another one by the time that the queue runs."""
    made = standins
    made.dvc("exp", "run", "--queue", "--name", "queued", "-S", "head.seed=5")
    with (made.folder / PACKAGE / "head/head.py").open("a") as file:
        file.write("\nraise RuntimeError('the code of the main folder')\n")
    printed = made.dvc("exp", "run", "--run-all")
    assert "queued" in printed
    made.run("git", "checkout", "--quiet", "--", str(PACKAGE))
    made.dvc("exp", "apply", "queued")
    made.dvc("checkout", "--force")
    assert made.outputs() == standin.expect(made.folder)


def test_a_dvc_without_the_checks_is_refused(standins: Project, monkeypatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "head")
    monkeypatch.delenv("GRAFT_DVC", raising=False)
    printed = standins.run(sys.executable, "-m", "graft", "head", status=2)
    assert "`uv run dvc repro`" in printed


def test_verify_finds_damage_and_repairs_it(standins: Project) -> None:
    """A sound copy is put in the place of a damaged file; where there is none, both go."""
    made = standins
    assert re.fullmatch(r"all \d+ recorded files are sound\n", made.run("graft", "verify"))
    before = made.outputs()
    damage(cached(made, MADE), "flipped")
    damage(made.folder / "data/split.csv", "flipped")
    damage(cached(made, "data/depth/scores.csv"), "cut")
    damage(made.folder / "data/depth/scores.csv", "cut")
    printed = made.run("graft", "verify", status=2)
    assert f"{MADE} is damaged in DVC's cache" in printed
    assert "data/split.csv is damaged in the folder" in printed
    assert "data/depth/scores.csv is damaged in the folder and DVC's cache" in printed
    assert "`graft verify --repair`" in printed.splitlines()[-1]
    made.run("graft", "verify", "--repair")
    assert not (made.folder / "data/depth/scores.csv").exists()
    assert made.run("graft", "verify").startswith("all ")
    assert runs(made.dvc("repro")) == {"depth"}
    assert made.outputs() == before


@pytest.mark.parametrize("command", [["snakemake", "--cores", "1"], ["dvc", "repro"]])
def test_a_run_in_a_subfolder_says_where_to_go(standins: Project, command: list[str]) -> None:
    inside = Project(standins.folder / "data/raw")
    inside.environment = standins.environment
    assert inside.run(*command, status=2).endswith("run it in the project's folder (cd ../..)\n")
