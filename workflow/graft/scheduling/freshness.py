"""DVC's verdict: which stages are not up to date.

To ask DVC takes longer than all else in a run that has nothing to do. So where DVC has found
everything up to date, the signatures of all that it looked at are kept. As long as these files,
by inode, size and both times, and the installed libraries are the same, the verdict is.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from graft.common.errors import UserError
from graft.integrity.ground import digest, is_settled, sign, store_whole
from graft.integrity.libraries import VERSIONS
from graft.project import pipeline
from graft.project.parameters import PARAMETERS
from graft.project.upstream import LOCK
from graft.scheduling.times import BUSY

_KEPT = Path(".graft/fresh.json")
_RUNNING = Path(".dvc/tmp/rwlock")  # what DVC's processes read and write at this moment
_CONTROL = (
    *(pipeline.FILE, LOCK, PARAMETERS, pipeline.SHARDS, VERSIONS),
    *(Path(".dvc/config"), Path(".dvc/config.local"), Path(".dvcignore")),
)


class DvcVerdict:
    """What is stale, asked of DVC unless it was asked already.

    Args:
        stages: all of them.
    """

    def __init__(self, stages: Iterable[pipeline.Declaration]) -> None:
        used = chain.from_iterable((*s.dependencies, *s.outputs) for s in stages)
        self._files = list(dict.fromkeys(chain(_CONTROL, used)))
        self._before = self._sign()
        self._known = _read_known() == self._before and not _is_at_work()
        self.stale: dict[str, list[Any]] = {} if self._known else ask_dvc()

    def keep(self) -> None:
        """Keeps it for the next run, if nothing is stale and nothing has moved meanwhile."""
        if not (self.stale or self._known) and self._before and self._before == self._sign():
            store_whole(_KEPT, {"signatures": self._before})

    def _sign(self) -> str:
        """A hash of all signatures; empty where a change from now on might not show."""
        found = hashlib.sha256()
        for path in self._files:
            signatures = sign(path)
            if not is_settled(signatures):
                return ""
            found.update(f"{path}\0{digest(path, signatures)}\0".encode())
        # A library that is installed or removed changes the time of the folder that it is in.
        for place in map(Path, sys.path):
            status = place.stat() if place.is_dir() else None
            found.update(f"{place}\0{status and (status.st_ino, status.st_mtime_ns)}\0".encode())
        return found.hexdigest()


def ask_dvc() -> dict[str, list[Any]]:
    """What DVC says of the stages that are not up to date: by address, what changed.

    A stage that another DVC process is running is among them, since it is not up to date yet.

    Raises:
        UserError: DVC cannot read the project, as when `dvc.lock` holds a merge conflict.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    verdict: dict[str, list[Any]] = {}
    try:
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
            for stage in repo.index.stages:
                try:
                    changes = stage.status()
                except LockError:
                    changes = {stage.addressing: [BUSY]}
                verdict |= changes
    except DvcException as error:
        raise UserError(f"DVC cannot tell what is up to date: {error}") from None
    return verdict


def _read_known() -> str | None:
    try:
        return json.loads(_KEPT.read_text(encoding="utf-8"))["signatures"]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _is_at_work() -> bool:
    """Whether a process of DVC is reading or writing what belongs to a stage."""
    try:
        return any(json.loads(_RUNNING.read_text(encoding="utf-8")).values())
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError):
        return True
