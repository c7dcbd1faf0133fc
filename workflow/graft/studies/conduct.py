"""A study from its first run to its last: what is there is kept, what is missing is made."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from graft.common.parallel import count_cores
from graft.integrity.locks import one_at_a_time
from graft.studies.declaration import PlannedRun
from graft.studies.workspace import RunFailed, RunStopped, StudyWorkspace

_PLACE = Path(".graft/studies")


class Conducted(NamedTuple):
    """What has become of the runs.

    Attributes:
        experiments: the experiments that there are, by name, as git refers to them.
        failed: what runs said last that have none, by the name that it would have.
        stopped: whether the time was up before all were made.
    """

    experiments: Mapping[str, str]
    failed: Mapping[str, str]
    stopped: bool


def conduct_study(
    name: str, runs: Sequence[PlannedRun], jobs: int, minutes: float | None
) -> Conducted:
    """Makes the runs that the project has no experiment of; a run that fails keeps none back.

    It can be killed at any time: the next call goes on with what is missing.

    Args:
        name: of the study.
        runs: in their order.
        jobs: how many are made side by side, each in a clone of its own. The first is made alone:
            what it shares with the others is computed once.
        minutes: after so many no run begins, and one that is not at its end is stopped; None for
            no end.
    """
    until = None if minutes is None else time.monotonic() + 60 * minutes
    folder = _PLACE / name
    with ExitStack() as held:
        held.enter_context(one_at_a_time(folder / "lock", f"waiting for another study {name}"))
        cores = max(1, count_cores() // jobs)
        spaces = [StudyWorkspace(folder / str(number), cores) for number in range(jobs)]
        found = {run.experiment: spaces[0].find(run) for run in runs}
        experiments = {name: ref for name, ref in found.items() if ref}
        missing = [run for run in runs if run.experiment not in experiments]
        _tell(f"study {name}: {len(runs)} runs, {len(missing)} to be made")
        failed: dict[str, str] = {}
        stopped = False
        for run, ref, problem in _make_all(spaces, missing, folder, until):
            if ref:
                experiments[run.experiment] = ref
            elif problem:
                failed[run.experiment] = problem
            else:
                stopped = True
    return Conducted(experiments, failed, stopped)


def _make_all(
    spaces: Sequence[StudyWorkspace], runs: Sequence[PlannedRun], folder: Path, until: float | None
) -> Iterator[tuple[PlannedRun, str | None, str]]:
    """Each run with its experiment, or why it has none: empty if the time was up."""
    free: SimpleQueue[StudyWorkspace] = SimpleQueue()
    for space in spaces:
        free.put(space)

    def make(run: PlannedRun) -> tuple[PlannedRun, str | None, str]:
        space, began = free.get(), time.monotonic()
        try:
            if until is not None and began >= until:
                return run, None, ""
            ref = space.make(run, folder / "logs" / f"{run.experiment}.log", until)
        except RunStopped:
            _tell(f"{run.experiment}: stopped, the time is up")
            return run, None, ""
        except RunFailed as error:
            _tell(f"{run.experiment}: failed\n{error}")
            return run, None, str(error)
        finally:
            free.put(space)
        _tell(f"{run.experiment}: {time.monotonic() - began:.0f} s")
        return run, ref, ""

    yield from map(make, runs[:1])
    with ThreadPoolExecutor(len(spaces)) as pool:
        yield from pool.map(make, runs[1:])


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
