"""Moments of a build that a fault can hit, and what makes a build necessary."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from faults.runs import Run, await_true, has_ended
from faults.trial import Missed, Trial
from faults.truth import md5, read_lock
from graft.project.parameters import read_parameters
from graft.project.pipeline import Declaration, declarations
from project import DEFAULTS, ROOT

REPORT = {"report.smoothing": 0.3}  # makes the report stale
HEAD = {"head.learning_rate": 0.004}  # makes head, finetune, evaluate and report stale
ALL = {"image.side": 40}  # makes all stages but manifest stale
# Seconds that a build takes with each engine, roughly.
LONG = {
    ("dvc", "report"): 2.5,
    ("dvc", "head"): 5.0,
    ("dvc", "all"): 11.0,
    ("snakemake", "report"): 5.0,
    ("snakemake", "head"): 10.0,
    ("snakemake", "all"): 30.0,
}


def stages() -> list[Declaration]:
    """Every stage, in an order in which they can run."""
    return declarations(read_parameters(ROOT / DEFAULTS))


@contextmanager
def gap(trial: Trial, run: Run, address: str) -> Iterator[int]:
    """The engine is stopped while the block runs: a stage has ended, and it has not seen it.

    Yields:
        The id of the process that stands still.
    """
    mark = trial.hold(address, "after")
    stage, engine = psutil.Process(trial.arrive(run, mark)), psutil.Process(run.pid)
    # Its other child is the fork server, which lasts as long as the run.
    below = [stage, *(c for c in engine.children() if "serve" not in c.cmdline()[-1])]
    engine.suspend()
    try:
        mark.unlink()
        if not await_true(lambda: all(has_ended(process) for process in below), 30):
            raise Missed("the stage did not end while the engine stood still")
        yield engine.pid
    finally:
        if not has_ended(engine):
            engine.resume()


def await_renamed(trial: Trial, run: Run, address: str) -> None:
    """Waits until all outputs of a stage are there anew, which is when it ends."""
    (stage,) = (stage for stage in stages() if stage.address == address)
    paths = [trial.path(path) for path in stage.outputs]
    before = [_state(path) for path in paths]

    def renamed() -> bool:
        now = [_state(path) for path in paths]
        return all(new and new != old for old, new in zip(before, now, strict=True))

    if not await_true(lambda: renamed() or run.status is not None, 120, 0.001) or not renamed():
        raise Missed(f"{address} wrote nothing")


def await_rewritten(path: Path, run: Run, times: int) -> None:
    """Waits until a file is written anew for the nth time, without a pause in which it ends."""
    for _ in range(times):
        before = _state(path)
        await_true(lambda old=before: _state(path) != old or run.status is not None, 120, 0)
        if run.status is not None:
            raise Missed(f"{path.name} was not written so often")
        if times > 1:
            size = before[2] if before else 0
            await_true(lambda size=size: (_state(path) or (0, 0, 0))[2] > size // 2, 1, 0.01)


def forget(trial: Trial, address: str) -> None:
    """Makes one stage stale and no other: its outputs are nowhere, and nothing can restore them."""
    (stage,) = (stage for stage in stages() if stage.address == address)
    for path in stage.outputs:
        content = trial.path(path).read_bytes()
        stored(trial, content).unlink(missing_ok=True)
        trial.path(path).unlink()
    for path in list(trial.path(".dvc/cache/runs").rglob("*")):
        if path.is_file() and f"cmd: {stage.command}\n" in path.read_text(encoding="utf-8"):
            shutil.rmtree(path.parent)


def stored(trial: Trial, content: bytes) -> Path:
    """Where DVC's cache keeps a content."""
    name = md5(content)
    return trial.path(".dvc/cache/files/md5") / name[:2] / name[2:]


def cached_outputs(trial: Trial) -> list[str]:
    """The outputs that DVC's cache holds, and git does not."""
    lock = read_lock(trial.path("dvc.lock"))
    tracked = set(trial.made.run("git", "ls-files", "reports", "data").splitlines())
    return [
        out["path"]
        for entry in lock.values()
        for out in entry["outs"]
        if out["path"] not in tracked
    ]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
