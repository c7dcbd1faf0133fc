"""What Snakemake's users know and do: its options, locks and signals, around stand-in stages."""

import errno
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import standin
from graft.project.pipeline import declarations
from graft.scheduling.endings import find_full_disk
from project import FRESH, Project, assert_fresh, runs


def hear_interrupts() -> None:
    """Takes Ctrl-C as in a terminal, also where the tests run behind `nohup` or `&`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Background:
    """A command at work in a project, in a group of processes of its own."""

    def __init__(self, made: Project, *command: str) -> None:
        self.log = made.folder / f"{command[0]}.log"
        with self.log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command,
                cwd=made.folder,
                env=made.environment(),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )

    def wait_until(self, is_so: Callable[[], object]) -> None:
        """Waits while it is at work."""
        while not is_so():
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            time.sleep(0.02)

    def wait_for(self, text: str, log: Path | None = None) -> None:
        """Waits until it has printed this, or has written it to the log of a stage."""
        log = log or self.log
        self.wait_until(lambda: log.exists() and text in log.read_text(encoding="utf-8"))

    def end(self) -> str:
        """Waits until it has ended well, and returns what it printed."""
        printed = self.log.read_text if self.process.wait() else None
        assert printed is None, printed(encoding="utf-8")
        return self.log.read_text(encoding="utf-8")


def hold_split(made: Project) -> Path:
    """Makes the split stale, and lets it wait, once it runs, until the file returned is gone."""
    made.change({"split.seed": 2})
    made.pauses = made.folder.with_name("pauses")
    made.pauses.mkdir()
    held = made.pauses / "split@start"
    held.touch()
    return held


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
    run = Background(standins, "snakemake", "--cores", "2")
    reached = held.with_name(f"{held.name}.reached")
    run.wait_until(reached.exists)
    # Whoever looks or comes in meanwhile is told who is at work, or waits.
    assert "Another Snakemake instance is running" in standins.snakemake("-n")
    assert f"(PID {run.process.pid})" in standins.dvc("repro", status=255)
    run.process.kill()
    run.process.wait()
    run = Background(standins, "snakemake", "--cores", "2")
    run.wait_for("waiting for another process that builds split", log)
    held.unlink()
    printed = run.end()
    assert "snakemake: removed the lock of a run that was killed\n" in printed
    assert re.search(r"^split .* unchanged$", printed, re.MULTILINE)
    assert standins.outputs() == standin.expect(standins.folder)
    assert_fresh(standins)


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
    assert made.outputs() == standin.expect(made.folder)
    assert_fresh(made)


def test_what_the_user_forces_runs(standins: Project) -> None:
    made = standins
    assert runs(made.snakemake("-R", "head")) == {"head"}
    assert runs(made.snakemake("--force", "data/split.csv")) == {"split"}
    forced = made.snakemake("-n", "-p", "--forceall").count(" --force > ")
    assert forced == len(declarations(made.values()))
    # On a cluster each job is a process of its own, which Snakemake starts with --force.
    job = ("--mode", "remote", "--force", "--nolock", "--allowed-rules", "split")
    log = made.folder / "logs/split.log"
    made.snakemake(*job, "--target-jobs", "split:")
    assert "unchanged" not in log.read_text(encoding="utf-8")
    assert_fresh(made)
    made.snakemake("data/split.csv")
    made.snakemake(*job, "--target-jobs", "split:")
    assert log.read_text(encoding="utf-8") == "split: unchanged\n"


def test_a_job_on_a_node_needs_no_dvc(standins: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cluster runs it, where DVC cannot be imported."""
    made = standins
    made.change({"split.seed": 2})
    made.snakemake("-n")  # the process that schedules leaves the flags
    poison = made.folder.with_name("poison") / "dvc/__init__.py"
    poison.parent.mkdir(parents=True)
    poison.write_text("raise SystemExit('a node has no DVC')\n")
    sound = made.environment()
    monkeypatch.setattr(
        made,
        "environment",
        lambda: sound | {"PYTHONPATH": f"{poison.parents[1]}:{sound['PYTHONPATH']}"},
    )
    made.snakemake(
        "--mode",
        "remote",
        "--force",
        "--nolock",
        "--allowed-rules",
        "split",
        "--target-jobs",
        "split:",
    )
    monkeypatch.undo()
    assert made.snakemake() and made.outputs() == standin.expect(made.folder)
    assert_fresh(made)


@pytest.mark.parametrize("engine", [["graft", "split"], ["dvc", "repro", "split"]])
@pytest.mark.parametrize(
    ("number", "send"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.killpg)]
)
def test_a_signal_ends_a_stage_quietly(
    standins: Project, engine: list[str], number: int, send: Any
) -> None:
    """One line at most, nothing half-written, and the next run completes."""
    held = hold_split(standins)
    run = Background(standins, *engine)
    parts = standins.folder / "data"
    run.wait_until(lambda: list(parts.glob(".part-*")))
    send(run.process.pid, number)
    assert run.process.wait() not in (0, None)
    printed = run.log.read_text(encoding="utf-8")
    assert "Traceback" not in printed and "graft split: error" not in printed
    deadline = time.monotonic() + 30  # of the stage, where DVC has ended first
    while list(parts.glob(".part-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not list(parts.glob(".part-*/*"))
    held.unlink()
    standins.dvc("repro")
    assert standins.outputs() == standin.expect(standins.folder)


def test_ctrl_c_ends_the_stages_of_snakemake(standins: Project) -> None:
    """Also where only Snakemake gets it: it would wait for the stage that runs."""
    held = hold_split(standins)
    run = Background(standins, "snakemake", "--cores", "2")
    run.wait_until(held.with_name(f"{held.name}.reached").exists)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait() == 1
    assert "Traceback" not in run.log.read_text(encoding="utf-8")
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
