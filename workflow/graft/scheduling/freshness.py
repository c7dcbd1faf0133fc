"""A verdict that is kept: everything was up to date, and nothing has moved since.

To ask DVC takes longer than all else in a run that has nothing to do. So where it has found
everything up to date, the signatures of all that it looked at are kept. As long as these files,
by inode, size and both times, and the installed libraries are the same, the verdict is.
"""

import hashlib
import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from graft.common.atomic import write_text
from graft.integrity.ground import digest, is_settled, sign
from graft.integrity.libraries import VERSIONS, find_versions, list_installed
from graft.integrity.records import LOCK, RECORDS, RecordState
from graft.project import pipeline
from graft.project.parameters import PARAMETERS

_KEPT = Path(".graft/fresh.json")
_RUNNING = Path(".dvc/tmp/rwlock")  # what DVC's processes read and write at this moment
_CONTROL = (
    *(pipeline.FILE, LOCK, PARAMETERS, pipeline.SHARDS, VERSIONS),
    *(Path(".dvc/config"), Path(".dvc/config.local"), Path(".dvcignore")),
    *(RECORDS / state for state in (RecordState.FINISHED, RecordState.LEFT_TO_DVC)),
)


class KeptVerdict:
    """What was found up to date, as long as nothing moves.

    Args:
        stages: all of them.
    """

    def __init__(self, stages: Iterable[pipeline.Declaration]) -> None:
        used = chain.from_iterable((*s.dependencies, *s.outputs) for s in stages)
        self._files = list(dict.fromkeys(chain(_CONTROL, used)))
        self._before = self._sign()

    def holds(self) -> bool:
        """Whether nothing has moved since everything was up to date."""
        return _read_known() == self._before and not _is_at_work()

    def keep(self) -> None:
        """Keeps it for the next run, if nothing has moved since this was made."""
        if self._before and self._before == self._sign():
            write_text(_KEPT, json.dumps({"signatures": self._before}) + "\n")

    def _sign(self) -> str:
        """A hash of all signatures; empty where a change from now on might not show."""
        found = hashlib.sha256()
        for path in self._files:
            signatures = sign(path)
            if not is_settled(signatures):
                return ""
            found.update(f"{path}\0{digest(path, signatures)}\0".encode())
        found.update(json.dumps([list_installed(), find_versions()]).encode())
        return found.hexdigest()


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
