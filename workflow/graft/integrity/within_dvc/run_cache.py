"""DVC's run cache on its way to a remote and back, with the files that its entries name.

DVC moves the entries alone. Files of other settings than the present ones, and all that git keeps,
such as metrics, would be missing in another clone, which would then compute again what it knows.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_Entries = list[tuple[str, str]]


def push_entries(
    cache: Any, original: Callable[..., _Entries], remote: str | None, odb: Any = None
) -> _Entries:
    """Pushes all entries that are here, and then the files of those whose files are here.

    Args:
        cache: DVC's `StageCache`.
        original: its `push`.
        remote: the name of the remote; None for the default one.
        odb: the store of the entries there.
    """
    pushed = original(cache, remote, odb)
    names = Path(cache.cache_dir).glob("*/*/*")
    found = _find_objects(cache, ((path.parent.name, path.name) for path in names))
    here = {each for each in found if cache.repo.cache.local.exists(each.value)}
    if here:
        cache.repo.cloud.push(here, remote=remote)
    return pushed


def pull_entries(
    cache: Any, original: Callable[..., _Entries], remote: str | None, odb: Any = None
) -> _Entries:
    """Fetches the entries that are not here yet, and their files.

    Args:
        cache: DVC's `StageCache`.
        original: its `pull`.
        remote: the name of the remote; None for the default one.
        odb: the store of the entries there.
    """
    pulled = original(cache, remote, odb)
    if missing := _find_objects(cache, pulled):
        cache.repo.cloud.pull(missing, remote=remote)
    return pulled


def _find_objects(cache: Any, entries: Iterable[tuple[str, str]]) -> set[Any]:
    """What DVC knows of the outputs of some entries: their hashes."""
    found = set[Any]()
    for objects in cache.get_used_objs(list(entries)).values():
        found |= objects
    return found
