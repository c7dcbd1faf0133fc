"""Moments of a build that a fault can hit, and what makes a build necessary."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from background import Run, await_true, has_ended
from faults.trial import Missed, Trial
from faults.truth import md5, read_lock
from graft.project.parameters import read_parameters
from graft.project.pipeline import Declaration, declarations
from project import DEFAULTS, ROOT

REPORT = {"report.smoothing": 0.3}  # makes the report stale
HEAD = {"head.learning_rate": 0.004}  # makes head, finetune, evaluate and report stale
ALL = {"image.side": 40}  # makes all stages but manifest stale
GAP = "gap"  # a stage has ended, and its engine has not seen it
Action = Callable[[Trial], object]
# Seconds that a build takes with each engine, roughly.
LONG = {("dvc", "report"): 2.5, ("dvc", "head"): 5.0, ("dvc", "all"): 11.0}
LONG |= {("snakemake", "report"): 5.0, ("snakemake", "head"): 10.0, ("snakemake", "all"): 30.0}


def stages() -> list[Declaration]:
    """Every stage, in an order in which they can run."""
    return declarations(read_parameters(ROOT / DEFAULTS))


def find_stage(address: str) -> Declaration:
    """The stage of an address."""
    return next(stage for stage in stages() if stage.address == address)


@contextmanager
def moment(trial: Trial, address: str, point: str, *command: str) -> Iterator[Run]:
    """A run at a point of a stage, or in the gap after it, for as long as the block lasts.

    Args:
        trial: starts the run.
        address: of the stage.
        point: as `standin.pause` has it, or `GAP`.
        command: to start; the engine for everything by default.
    """
    if point != GAP:
        with trial.held(None, address, point, *command) as run:
            yield run
    else:
        run = trial.start(*command)
        with gap(trial, run, address):
            yield run


def meanwhile(action: Action, address: str, point: str, trial: Trial) -> None:
    """Something happens while the engine builds everything, at a point of a stage or after it."""
    with moment(trial, address, point) as run:
        action(trial)
    trial.end(run)


@contextmanager
def gap(trial: Trial, run: Run, address: str) -> Iterator[int]:
    """The engine is stopped while the block runs: a stage has ended, and it has not seen it.

    Yields:
        The id of the process that stands still.
    """
    mark = trial.made.hold(address, "after")
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
    paths = [trial.path(path) for path in find_stage(address).outputs]
    before = [_state(path) for path in paths]

    def renamed() -> bool:
        now = [_state(path) for path in paths]
        return all(new and new != old for old, new in zip(before, now, strict=True))

    if not run.wait_until(renamed, 120, 0.001):
        raise Missed(f"{address} wrote nothing")


def await_rewritten(path: Path, run: Run, times: int) -> None:
    """Waits until a file is written anew for the nth time, without a pause in which it ends."""
    for _ in range(times):
        before = _state(path)
        run.wait_until(lambda old=before: _state(path) != old, 120, 0)
        if run.status is not None:
            raise Missed(f"{path.name} was not written so often")
        if times > 1:
            size = before[2] if before else 0
            await_true(lambda size=size: (_state(path) or (0, 0, 0))[2] > size // 2, 1, 0.01)


def forget(trial: Trial, address: str) -> None:
    """Makes one stage stale and no other: its outputs are nowhere, and nothing can restore them."""
    stage = find_stage(address)
    for path in stage.outputs:
        content = trial.path(path).read_bytes()
        stored(trial, content).unlink(missing_ok=True)
        trial.path(path).unlink()
    for path in recorded_runs(trial, stage.command):
        shutil.rmtree(path.parent)


def recorded_runs(trial: Trial, command: str) -> list[Path]:
    """The records of a command in DVC's run cache."""
    found = (path for path in trial.path(".dvc/cache/runs").rglob("*") if path.is_file())
    return sorted(p for p in found if f"cmd: {command}\n" in p.read_text(encoding="utf-8"))


def stored(trial: Trial, content: bytes) -> Path:
    """Where DVC's cache keeps a content."""
    name = md5(content)
    return trial.path(".dvc/cache/files/md5") / name[:2] / name[2:]


def cached_outputs(trial: Trial) -> list[str]:
    """The outputs that DVC's cache holds, and git does not."""
    lock = read_lock(trial.path("dvc.lock"))
    tracked = set(trial.git("ls-files", "reports", "data").splitlines())
    found = [out["path"] for entry in lock.values() for out in entry["outs"]]
    return [path for path in found if path not in tracked]


def changed_objects(trial: Trial, changes: Mapping[str, Any]) -> list[Path]:
    """What the cache holds of files that other parameters change; sets these parameters."""
    now, cached = trial.base.expect(trial.made.folder), cached_outputs(trial)
    trial.edit(changes)
    then = trial.base.expect(trial.made.folder)
    return [stored(trial, then[name]) for name in cached if then[name] != now[name]]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
