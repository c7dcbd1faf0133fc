"""The times of files, by which Snakemake decides, brought in line with the verdict of DVC.

Every rule has one input more than its stage: a flag, a file that only this module writes. The flag
of a stale stage becomes newer than its outputs, so its rule runs. The outputs of a fresh stage
become as new as its inputs, as they are not after `git checkout` or `dvc checkout`, so its rule
does not.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from graft.project.pipeline import Declaration

FLAGS = Path(".graft/flags")
LOGS = Path("logs")
# What the verdict says of a stage that a process is running at this moment.
BUSY = "being built by another process"
# Snakemake takes the time of this file for that of the folder it is in.
_TIMESTAMP = ".snakemake_timestamp"


def settle(
    stages: Iterable[Declaration], verdict: Mapping[str, list[Any]], alone: bool = True
) -> None:
    """Sets the times of flags and outputs so that Snakemake comes to the verdict of DVC.

    Args:
        stages: every stage, in the order of `declarations`: an output that is touched may become
            newer than the outputs of later stages, which then follow.
        verdict: the stale ones: by address, what changed.
        alone: whether no other Snakemake is at work here. A stage that another one is running has
            its flag already; raised at the moment of its end, it would be newer than its outputs.
    """
    FLAGS.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    os.utime(FLAGS)
    now = FLAGS.stat().st_mtime_ns  # by the clock of the file system, which may be another machine
    stages = list(stages)
    # First of all: a time that is set below is newer than `now`.
    _leave_the_future({path for s in stages for path in (*s.inputs, *s.outputs)}, now)
    for stage in stages:
        flag = FLAGS / stage.address
        changes = verdict.get(stage.address)
        if changes == [BUSY] and not alone:
            continue
        if changes is not None:
            _raise_flag(flag, changes, stage.outputs)
        else:
            flag.touch()
            os.utime(flag, (0, 0))
            _renew(stage.outputs, [*stage.inputs, flag])


def _leave_the_future(paths: Iterable[Path], now: int) -> None:
    # Files of another clock, or of an unpacked archive. Nothing that a stage writes is ever newer
    # than such an input, and Snakemake refuses that.
    for path, _ in _times([*paths, *(path / _TIMESTAMP for path in paths)]):
        for follow in (True, False):
            if path.stat(follow_symlinks=follow).st_mtime_ns > now:
                # Somebody else's file stays as it is; Snakemake names it where it matters.
                with contextlib.suppress(PermissionError):
                    os.utime(path, follow_symlinks=follow)


def _raise_flag(flag: Path, changes: list[Any], written: Iterable[Path]) -> None:
    # Where Snakemake knows an input's content from its last run, a newer time alone says nothing to
    # it, hence the clock in the text. The rest is for people who wonder why a stage runs.
    text = json.dumps({"stale at": time.time_ns(), "since": changes}, indent=1, ensure_ascii=False)
    flag.write_text(text + "\n", encoding="utf-8")
    raised = flag.stat().st_mtime_ns
    for path, (_, own) in _times(written):
        if own >= raised:  # clocks of two machines, or one that was set back
            os.utime(path, ns=(raised - 1_000_000_000,) * 2, follow_symlinks=False)


def _renew(written: Iterable[Path], read: Iterable[Path]) -> None:
    newest = max(time_ for _, (time_, _) in _times(read))
    for path, (_, own) in _times(written):
        if own < newest:
            os.utime(path, follow_symlinks=False)
            if path.lstat().st_mtime_ns < newest:
                os.utime(path, ns=(newest, newest), follow_symlinks=False)


def _times(paths: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Each path that exists, with its time as an input and as an output, as Snakemake takes them.

    They differ for a link: an input is as new as the newer of it and its target, an output as it.
    """
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            own = path.lstat().st_mtime_ns
            yield path, (max(own, path.stat().st_mtime_ns), own)
