"""Which files are meant by paths that do not exist as they are written."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from pathlib import PurePosixPath

from graft.images.files import IMAGE_ENDS

# One change of folders must find this share of the paths that it could be for.
_MOST = 0.9


def match_paths(wanted: Iterable[str], there: Collection[str]) -> dict[str, str]:
    """The file that each path means, where just one does.

    Paths may be written by another system: with backslashes, in another form of Unicode, in small
    letters, with blanks around, without the end of the name, or from another folder.

    Args:
        wanted: paths that do not exist.
        there: the paths of all files.

    Returns:
        Of each path for which a file was found, that file's; different ones for different paths.
    """
    left, free = sorted(set(wanted)), set(there)
    found: dict[str, str] = {}
    for write in (_plain, _without_end):
        files, paths = _group(free, write), _group(left, write)
        for key, several in paths.items():
            # Two paths for one file, or two files for one path, say nothing.
            if len(several) == 1 and len(files.get(key, ())) == 1:
                found[several[0]] = files[key][0]
        left = [path for path in left if path not in found]
        free.difference_update(found.values())
    return found | _move(left, free)


def _plain(path: str) -> str:
    slashes = str(PurePosixPath(path.strip().replace("\\", "/")))
    return unicodedata.normalize("NFC", slashes).casefold()


def _without_end(path: str) -> str:
    plain = PurePosixPath(_plain(path))
    return str(plain.with_suffix("") if plain.suffix in IMAGE_ENDS else plain)


def _group(paths: Iterable[str], write: Callable[[str], Hashable]) -> dict[Hashable, list[str]]:
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for path in paths:
        groups[write(path)].append(path)
    return groups


def _move(left: Iterable[str], free: Iterable[str]) -> dict[str, str]:
    """Finds the files of paths that start from another folder, the same for most of them."""
    paths = {path: PurePosixPath(_without_end(path)).parts for path in left}
    files = {file: PurePosixPath(_without_end(file)).parts for file in free}
    by_name = defaultdict(list)
    for file, parts in files.items():
        by_name[parts[-1:]].append(file)
    moves: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    for parts in paths.values():
        moves.update({_compare(parts, files[file]) for file in by_name.get(parts[-1:], ())[:9]})
    if not moves:
        return {}
    ((before, after), count), *_ = moves.most_common(1)
    if count < _MOST * len(paths):
        return {}
    by_parts = _group(files, files.__getitem__)
    found = {}
    for parts, several in _group(paths, paths.__getitem__).items():
        moved = by_parts.get((*after, *parts[len(before) :]), ())
        if parts[: len(before)] == before and len(several) == len(moved) == 1:
            found[several[0]] = moved[0]
    return found


def _compare(
    path: tuple[str, ...], file: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders before the names that both end in."""
    same = 0
    while same < min(len(path), len(file)) and path[-1 - same] == file[-1 - same]:
        same += 1
    return path[: len(path) - same], file[: len(file) - same]
