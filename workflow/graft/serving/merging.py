"""What is said of labels by hand, merged into the corrections of a data set."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from graft.common.classes import natural
from graft.common.errors import UserError
from graft.integrity.locks import one_at_a_time
from graft.labelling.corrections import Correction, match_corrections, read_corrections

# Who changes the corrections holds it, so that of two who do so at once none is forgotten.
_LOCK = Path(".graft/correcting")
# A file system may be without locks; threads then still wait for each other.
_OWN_LOCK = threading.Lock()


@contextmanager
def alone_with_corrections() -> Iterator[None]:
    """Runs the block once nobody else, in this process or another, is in such a block."""
    waiting = "waiting for another command that writes corrections"
    with _OWN_LOCK, one_at_a_time(_LOCK, waiting):
        yield


def read_present(where: Path) -> list[Correction]:
    """The rows of the file of corrections; none where there is no file.

    Raises:
        UserError: it is not of its form, or cannot be read.
    """
    try:
        return read_corrections(where.read_bytes(), str(where)) if where.exists() else []
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror}") from None


def merge_corrections(
    present: Sequence[Correction], said: Mapping[str, Correction | None], ids: Mapping[str, str]
) -> list[Correction]:
    """The rows that there are, with what is said now in place of what was said of the same files.

    Args:
        present: the rows so far. Those that match no file stay as they are.
        said: the row of each file of which something is said, by its path; None takes back what was
            said of it.
        ids: of all files, by their path.

    Returns:
        The new rows: one for each picture, or one for each of its files where they differ.

    Raises:
        UserError: two of the present rows say different things of one file.
    """
    before, unmatched = match_corrections(present, ids)
    after = {path: row for path, row in (before | said).items() if row is not None}
    return [*unmatched, *_combine(after, ids)]


def _combine(found: Mapping[str, Correction], ids: Mapping[str, str]) -> list[Correction]:
    files: dict[str, list[str]] = defaultdict(list)
    for path in sorted(ids, key=natural):
        files[ids[path]].append(path)
    rows = []
    for id_ in dict.fromkeys(ids[path] for path in found):
        own = [path for path in files[id_] if path in found]
        labels = {found[path].label for path in own}
        if len(labels) == 1 and len(own) == len(files[id_]):
            rows.append(found[own[0]]._replace(path=own[0], id=id_))
        else:
            rows += [found[path]._replace(path=path, id="") for path in own]
    return rows
