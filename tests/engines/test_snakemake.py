"""What Snakemake's users know and do: its options, locks and signals, around stand-in stages."""

import errno
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import standin
from background import await_true
from graft.project.pipeline import declarations
from graft.scheduling.endings import find_full_disk, find_outer_cause
from project import FRESH, Project, assert_fresh, assert_right, reached, runs

# On a cluster each job is a process of its own, which Snakemake starts with --force.
JOB = ("--mode", "remote", "--force", "--nolock", "--allowed-rules", "split")


def hold_split(made: Project) -> Path:
    """Makes the split stale, and lets it wait, once it runs, until the file returned is gone."""
    made.change({"split.seed": 2})
    return made.hold("split", "start")


def test_a_stage_is_run_by_name(standins: Project) -> None:
    assert standins.run("graft", "tensors", "0") == "tensors 0: unchanged\n"
    assert "unchanged" not in standins.run("graft", "tensors", "0", "--force")
    standins.change({"head.learning_rate": -1})
    assert "must be" in standins.run("graft", "head", status=2)


def test_looking_needs_no_cores_and_changes_nothing(standins: Project) -> None:
    made, paths = standins, [Path("logs"), Path("reports"), Path("data"), Path(".graft/flags")]
    assert FRESH in made.run("snakemake", "-n")

    def times() -> dict[Path, int]:
        files = (file for path in paths for file in (made.folder / path).rglob("*"))
        return {file: file.lstat().st_mtime_ns for file in files}

    before = times()
    assert "digraph" in made.run("snakemake", "--dag")
    assert "reports/index.html" in made.run("snakemake", "--summary")
    assert "Unlocked" in made.run("snakemake", "--unlock")
    made.run("snakemake", "--report", "page.html")
    assert (made.folder / "page.html").stat().st_size > 100_000
    assert times() == before


def test_a_killed_run_needs_no_hand(standins: Project) -> None:
    """Its lock is removed; a stage that it has started is not run twice."""
    held, log = hold_split(standins), standins.folder / "logs/split.log"
    run = standins.start("snakemake", "--cores", "2")
    assert run.wait_until(lambda: reached(held)), run.text
    # Whoever looks or comes in meanwhile is told who is at work, or waits.
    assert "Another Snakemake instance is running" in standins.snakemake("-n")
    assert f"(PID {run.pid})" in standins.dvc("repro", status=255)
    run.kill()
    run = standins.start("snakemake", "--cores", "2")
    waits = "waiting for another process that builds split"
    assert run.wait_until(lambda: log.exists() and waits in log.read_text()), run.text
    held.unlink()
    printed = run.end()
    assert "snakemake: removed the lock of a run that was killed\n" in printed
    assert re.search(r"^split .* unchanged$", printed, re.MULTILINE)
    assert_right(standins)


def test_the_lock_of_another_machine_is_left_to_the_user(standins: Project) -> None:
    locks, running = standins.folder / ".snakemake/locks", standins.folder / ".graft/running"
    locks.mkdir(parents=True)
    running.parent.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("data/split.csv\n")
    running.write_text("elsewhere 77\n")
    printed = standins.snakemake(status=1)
    assert "if no run is left on elsewhere (process 77), give `snakemake --unlock`" in printed
    standins.run("snakemake", "--unlock")
    assert FRESH in standins.snakemake()


def test_files_from_the_future_come_back(standins: Project) -> None:
    made, later = standins, time.time() + 1e8
    made.change({"report.smoothing": 0.3})
    for path in made.folder.rglob("*"):
        if ".git" not in path.parts:
            os.utime(path, (later, later), follow_symlinks=False)
    assert runs(made.snakemake()) == {"report"}
    assert_right(made)


def test_what_the_user_forces_runs(standins: Project) -> None:
    assert runs(standins.snakemake("-R", "head")) == {"head"}
    assert runs(standins.snakemake("--force", "data/split.csv")) == {"split"}
    forced = standins.snakemake("-n", "-p", "--forceall").count(" --force > ")
    assert forced == len(declarations(standins.values()))
    log = standins.folder / "logs/split.log"
    standins.snakemake(*JOB, "--target-jobs", "split:")
    assert "unchanged" not in log.read_text(encoding="utf-8")
    assert_fresh(standins)
    standins.snakemake("data/split.csv")
    standins.snakemake(*JOB, "--target-jobs", "split:")
    assert log.read_text(encoding="utf-8") == "split: unchanged\n"


def test_a_job_on_a_node_needs_no_dvc(standins: Project) -> None:
    """As a cluster runs it, where DVC cannot be imported."""
    standins.change({"split.seed": 2})
    standins.snakemake("-n")  # the process that schedules leaves the flags
    poison = standins.folder.with_name("poison") / "dvc/__init__.py"
    poison.parent.mkdir(parents=True)
    poison.write_text("raise SystemExit('a node has no DVC')\n")
    standins.extra["PYTHONPATH"] = f"{poison.parents[1]}:{standins.folder}/workflow"
    standins.snakemake(*JOB, "--target-jobs", "split:")
    standins.extra.clear()
    assert standins.snakemake()
    assert_right(standins)


@pytest.mark.parametrize("engine", [["graft", "split"], ["dvc", "repro", "split"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_stage_quietly(standins: Project, engine: list[str], number: int) -> None:
    """One line at most, nothing half-written, and the next run completes."""
    held, unfinished = hold_split(standins), (standins.folder / "data").glob
    run = standins.start(*engine)
    assert run.wait_until(lambda: any(unfinished(".part-*"))), run.text
    run.send(number)
    assert run.wait() not in (0, None)
    assert "Traceback" not in run.text and "graft split: error" not in run.text
    # Where DVC has ended first, the stage has not.
    await_true(lambda: not any(unfinished(".part-*")), 30)
    assert not any(unfinished(".part-*/*"))
    held.unlink()
    standins.dvc("repro")
    assert standins.outputs() == standin.expect(standins.folder)


def test_ctrl_c_ends_the_stages_of_snakemake(standins: Project) -> None:
    """Also where only Snakemake gets it: it would wait for the stage that runs."""
    held = hold_split(standins)
    run = standins.start("snakemake", "--cores", "2")
    assert run.wait_until(lambda: reached(held)), run.text
    run.send(signal.SIGINT, group=False)
    assert run.wait() == 1
    assert "Traceback" not in run.text
    held.unlink()
    standins.snakemake()
    assert standins.outputs() == standin.expect(standins.folder)


def test_a_full_disk_is_one_message() -> None:
    """A device that is always full stands in for one."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("only Linux has it")
    for content in (b"x", np.zeros(100_000)):
        with pytest.raises(OSError) as raised, full.open("wb") as file:
            file.write(content) if isinstance(content, bytes) else np.save(file, content)
        assert "no space is left on the disk of" in str(find_full_disk(raised.value))
    assert find_full_disk(OSError(errno.EACCES, "Permission denied")) is None


def test_what_may_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = str(find_outer_cause(PermissionError(errno.EACCES, "Permission denied", "logs/x")))
    assert said.startswith(f"the project must be one that you (user {os.geteuid()}) may write:")
    assert said.endswith("`, then run again. Received: logs/x (Permission denied)")
    assert find_outer_cause(PermissionError(errno.EACCES, "Permission denied", "/etc/x")) is None
