"""The state of a training as a file: numbers and arrays, read back whole or not at all."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from graft.common.atomic import whole

# Another version may compute other bits, and lay out its variables in another way.
_VERSIONS = {name: version(name) for name in ("keras", "numpy", "tensorflow")}
_DIGEST = hashlib.sha256().digest_size


class State(NamedTuple):
    """What a file of `write_state` holds.

    Attributes:
        facts: what JSON can hold.
        arrays: of any shapes and dtypes of numbers, in the order in which they were written.
    """

    facts: Mapping[str, Any]
    arrays: list[np.ndarray]


def write_state(path: Path, facts: Mapping[str, Any], arrays: Iterable[np.ndarray]) -> None:
    """Writes a state, or leaves the one that is there; no second one stays beside it.

    Args:
        path: the file; its folder is made if it is not there.
        facts: what JSON can hold.
        arrays: of numbers; asked for one at a time, so that all are never in memory at once.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    head = json.dumps({"versions": _VERSIONS, "facts": facts}).encode()
    with whole(path) as (part,), part.open("w+b") as file:
        file.write(bytes(_DIGEST))
        for array in chain([np.frombuffer(head, np.uint8)], arrays):
            npy.write_array(file, array, allow_pickle=False)
        file.seek(_DIGEST)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0)
        file.write(digest)


def read_state(path: Path) -> State | None:
    """Reads a state.

    Returns:
        None if there is none, or if it is damaged or of other versions of the libraries: a state is
        a help, and without it the work starts anew.
    """
    try:
        with path.open("rb") as file:
            expected = file.read(_DIGEST)
            if hashlib.file_digest(file, "sha256").digest() != expected:
                return None
            end = file.tell()
            file.seek(_DIGEST)
            arrays = []
            while file.tell() < end:
                arrays.append(npy.read_array(file, allow_pickle=False))
    except OSError:
        return None
    head = json.loads(arrays[0].tobytes())
    return State(head["facts"], arrays[1:]) if head["versions"] == _VERSIONS else None
