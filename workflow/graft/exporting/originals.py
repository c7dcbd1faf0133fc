"""Files as the data set has them: what the program of an export is tried on."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from graft.common.errors import UserError
from graft.decoder.picture import say_kind
from graft.images.files import identity
from graft.images.sources import open_source

# So many, or one of each kind if there are more kinds.
_TRIED = 12


class Originals(NamedTuple):
    """Original files of some images.

    Attributes:
        files: their bytes.
        kinds: which kinds are among them, such as `PNG I;16`.
        problem: why there are none; else empty.
    """

    files: tuple[bytes, ...]
    kinds: tuple[str, ...]
    problem: str = ""


def read_originals(path: str, wanted: Mapping[str, str]) -> Originals:
    """Reads files from where the raw images are: some of each kind that is among those wanted.

    A project may be where its raw images are not, and its models are there all the same. Files that
    have changed since are passed over.

    Args:
        path: `dataset.path`.
        wanted: the ids of files by their paths there.
    """
    found: dict[str, list[bytes]] = defaultdict(list)
    try:
        with open_source(path) as source:
            for file in source.files(wanted):
                if file.data is None or identity(file.data) != wanted[file.path]:
                    continue
                own = found[say_kind(file.data)]
                if len(own) < _TRIED:
                    own.append(file.data)
    except UserError as error:
        return Originals((), (), str(error))
    if not found:
        return Originals((), (), f"{path} no longer has them as they were")
    turns = chain.from_iterable(zip_longest(*found.values()))
    some = islice((data for data in turns if data is not None), max(_TRIED, len(found)))
    return Originals(tuple(some), tuple(sorted(found)))
