"""Nothing is recorded for what it was not made from.

The stages are stand-ins. A `graft` of the test's own stands before the real one where something has
to happen right after a stage, before DVC hashes anything.
"""

import os
import re
import signal
import textwrap
from pathlib import Path

import pytest
import yaml

import project
import standin
from graft.integrity.damage import hash_file
from graft.project.pipeline import PACKAGE
from project import Project, assert_fresh, assert_right, runs

MADE = "data/models/head.keras"


@pytest.fixture
def made(standins: Project) -> Project:
    """A project that was built."""
    return standins


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
    once = f"done = Path({str(done)!r})\nif not done.exists():\n    done.touch()\n"
    extra = textwrap.indent(once + textwrap.indent(code, "    ") + "\n", "    ")
    start = "    for path, part in stage.written.items():\n"
    assert start in text
    path.write_text(text.replace(start, extra + start), encoding="utf-8")


def assert_mended(made: Project) -> None:
    """One plain run makes everything right."""
    made.commands = project.BIN
    made.dvc("repro")
    assert_right(made)


MOVES = [
    ("sed -i 's/learning_rate: 0.003/learning_rate: 0.5/' params.yaml", "head.learning_rate"),
    (f"echo '# new' >> {PACKAGE}/head/folds.py", f"{PACKAGE}/head"),
    (f"echo damage >> {MADE}", MADE),
]


moves = pytest.mark.parametrize(("command", "what"), MOVES)


@moves
def test_what_moves_before_dvc_hashes_it_is_found_by_the_next_stage(
    made: Project, command: str, what: str
) -> None:
    made.change({"head.seed": 2})
    after(made, "head", command)
    printed = made.dvc("repro", status=255)
    assert re.search(rf"dvc.lock's record of head was removed.*\(.*{what}", printed)
    assert "Traceback" not in printed and "head" not in locked(made)
    assert_mended(made)


@pytest.mark.parametrize("command", [["graft", "verify"], ["snakemake", "--cores", "2"]])
def test_what_moves_after_the_last_stage_is_found_by_the_next_command(
    made: Project, command: list[str]
) -> None:
    made.change({"report.smoothing": 0.4})
    after(made, "report", "sed -i 's/smoothing: 0.4/smoothing: 0.5/' params.yaml")
    made.dvc("repro")
    made.commands = project.BIN
    assert "0.5" in str(locked(made)["report"]["params"])  # recorded, and false
    printed = made.run(*command)
    assert "dvc.lock's record of report was removed" in printed
    assert_mended(made)
    # The run cache does not hand it out either.
    made.change({"report.smoothing": 0.3})
    made.dvc("repro")
    made.change({"report.smoothing": 0.5})
    made.dvc("repro")
    assert made.outputs() == standin.expect(made.folder)


@moves
def test_snakemake_records_nothing_that_moved(made: Project, command: str, what: str) -> None:
    """An edit after a stage has ended, in mid-run."""
    made.change({"head.seed": 2})
    after(made, "head", command)
    printed = made.snakemake(status=1)
    assert re.search(rf"head is not recorded and stays stale.*{what}|{what}", printed), printed
    made.commands = project.BIN
    made.snakemake()
    assert_right(made)


@moves
def test_what_was_finished_before_an_edit_is_made_anew(
    made: Project, command: str, what: str
) -> None:
    """As of a run that was killed; DVC's cache has its results from a run before."""
    made.run("graft", "head", "--force")
    made.run("bash", "-c", command)
    printed = made.snakemake()
    assert re.search(f"head is not recorded and stays stale.*{what}", printed)
    assert "head" in runs(printed)
    assert_right(made)


def locked(made: Project) -> dict:
    """What dvc.lock says, by stage."""
    return yaml.safe_load((made.folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]


def test_an_edit_between_two_stages_stops_the_run(made: Project) -> None:
    made.change({"head.seed": 2})
    edit = "'learning_rate: 0.003', 'learning_rate: 0.5'"
    edit = f"edited = Path('params.yaml').read_text().replace({edit})"
    within(made, "finetune", f"{edit}\nPath('params.yaml').write_text(edited)")
    printed = made.dvc("repro", status=255)
    assert "needs head made with the same settings" in printed
    assert "params.yaml: head.learning_rate is 0.5 and was 0.003" in printed
    assert_mended(made)


def damage(path: Path, cut: bool = False) -> None:
    """Damages a file as a disk does: its mode stays."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data[:-3] if cut else data)
    path.chmod(0o444)


def cached(made: Project, output: str) -> Path:
    """The file of an output in DVC's cache."""
    name = hash_file(made.folder / output)
    return made.folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


def test_a_damaged_file_of_the_cache_is_made_anew(made: Project) -> None:
    """Whatever graft restores is hashed first."""
    made.snakemake()
    before = made.outputs()
    damage(cached(made, MADE))
    (made.folder / MADE).unlink()
    printed = made.snakemake()
    assert f"held a damaged copy of {MADE}" in printed and "head" in runs(printed)
    assert made.outputs() == before
    assert_fresh(made)
    # An entry of the run cache, too, that names another file.
    name, other = (hash_file(made.folder / path) for path in (MADE, "data/models/head.xml"))
    made.change({"head.learning_rate": 0.02})
    made.snakemake()
    for path in (made.folder / ".dvc/cache/runs").glob("*/*/*"):
        if "cmd: graft head\n" in (text := path.read_text(encoding="utf-8")):
            path.write_text(text.replace(name, other), encoding="utf-8")
    made.run("git", "checkout", "--quiet", "params.yaml")
    assert "DVC's run cache held a damaged record of head" in made.snakemake()
    assert made.outputs() == before
    assert_fresh(made)


def test_a_damaged_output_is_seen_though_its_time_is_as_before(made: Project) -> None:
    made.snakemake()  # the times are learned
    for name in ("data/units.csv", "reports/head/training.json"):
        path = made.folder / name
        data, times = path.read_bytes(), path.stat()
        path.write_bytes(b"x" + data[1:])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    # A stage alone does not run on it; the whole pipeline mends it.
    made.change({"head.seed": 2})
    printed = made.dvc("repro", "--single-item", "head", status=255)
    assert "data/units.csv must be what split wrote" in printed
    made.snakemake()
    assert_right(made)


def test_a_killed_run_is_recorded_by_the_next(made: Project) -> None:
    """Nothing is computed twice: what had finished is recorded, and the rest runs."""
    made.change({"head.seed": 2})
    after(made, "finetune", f"touch {made.folder}/reached; sleep 60")
    run = made.start("snakemake", "--cores", "1")
    assert run.wait_until((made.folder / "reached").exists), run.text
    run.send(signal.SIGKILL)
    run.wait()
    made.commands = project.BIN
    assert {*runs(made.snakemake())} <= {"evaluate", "report"}
    assert_right(made)


def test_an_experiment_runs_the_code_of_its_commit(made: Project) -> None:
    """The package in the main folder is another one by the time that the queue runs."""
    made.dvc("exp", "run", "--queue", "--name", "queued", "-S", "head.seed=5")
    with (made.folder / PACKAGE / "head/head.py").open("a") as file:
        file.write("\nraise RuntimeError('the code of the main folder')\n")
    printed = made.dvc("exp", "run", "--run-all")
    assert "queued" in printed
    made.run("git", "checkout", "--quiet", "--", str(PACKAGE))
    made.dvc("exp", "apply", "queued")
    made.dvc("checkout", "--force")
    assert made.outputs() == standin.expect(made.folder)


def test_verify_finds_damage_and_repairs_it(made: Project) -> None:
    """A sound copy is put in the place of a damaged file; where there is none, both go."""
    assert re.fullmatch(r"all \d+ recorded files are sound\n", made.run("graft", "verify"))
    before = made.outputs()
    damage(cached(made, MADE))
    damage(made.folder / "data/split.csv")
    damage(cached(made, "data/depth/scores.csv"), cut=True)
    damage(made.folder / "data/depth/scores.csv", cut=True)
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


@pytest.mark.parametrize(
    "command", [("graft", "verify", "--repair"), ("snakemake", "--cores", "2")]
)
def test_a_damaged_memory_of_dvc_is_forgotten(made: Project, command: tuple[str, ...]) -> None:
    made.run("dvc", "status")
    databases = list(Path(f"{made.folder}.site").rglob("*.db"))
    assert databases
    for database in databases:
        database.write_bytes(database.read_bytes()[:9000])
    made.run(*command)
    assert "up to date" in made.run("dvc", "repro")
