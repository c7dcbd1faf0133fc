"""What lies in a data set that nothing is learned from, told by the names of files alone."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from graft.common.cautions import Caution
from graft.common.errors import UserError
from graft.images.files import IMAGE_ENDS, SOURCE
from graft.images.suggestions import suggest_above
from graft.labelling.labels import BY_PARAMETERS, Asked, say_names

# By the ends of names only, since nothing is opened for it.
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".txz", ".bz2", ".tbz2", ".7z", ".rar")
_NAMED = 3  # files that a sentence names


def find_passed_over(paths: Sequence[str], used: Collection[str]) -> Iterator[Caution]:
    """Warnings of images that belong to no class, and of archives in which there may be images.

    Args:
        paths: of all files of a data set.
        used: those of them that have a class.
    """
    loose = [path for path in paths if path not in used and _ends(path, IMAGE_ENDS)]
    if loose:
        belong = "belongs to no class and is" if len(loose) == 1 else "belong to no class and are"
        yield Caution(f"{_count(loose, 'image')} {belong} not used, such as {loose[0]!r}")
    archives = [path for path in paths if _ends(path, _ARCHIVES)]
    if archives:
        one = len(archives) == 1
        were, them, their = ("was", "it", "its") if one else ("were", "them", "their")
        yield Caution(
            f"{_count(archives, 'archive')} within the data set {were} not looked into"
            f" ({_name(archives)}): unpack {them} where {their} images belong"
        )


def find_empty(
    tops: Collection[str], folders: Collection[str], pictures: Collection[str]
) -> Iterator[Caution]:
    """A warning of folders beside the class folders in which there is no picture.

    Args:
        tops: the paths of the folders in which class folders lie.
        folders: the paths of folders that may be empty, and of those of all files.
        pictures: the paths of all pictures.
    """
    depths = {top: top.count("/") + 1 if top else 0 for top in tops}
    empty = set()
    for folder in folders:
        names = folder.split("/")
        for top, depth in depths.items():
            if len(names) > depth and "/".join(names[:depth]) == top:
                empty.add("/".join(names[: depth + 1]))
    if empty:
        for picture in pictures:
            names = picture.split("/")
            empty.difference_update("/".join(names[:n]) for n in range(1, len(names)))
    if empty:
        text, none = _count([*empty], "folder"), "has" if len(empty) == 1 else "have"
        yield Caution(f"{text} beside the class folders {none} no picture: {_name(sorted(empty))}")


def refuse_unlabelled(where: str, paths: Sequence[str], asked: Asked = BY_PARAMETERS) -> UserError:
    """The error for a data set in which no file has a class.

    Args:
        where: the value of `dataset.path`.
        paths: of all files in it.
        asked: what messages call that.
    """
    loose = [path for path in paths if _ends(path, IMAGE_ENDS)]
    archives = [path for path in paths if _ends(path, _ARCHIVES)]
    if not paths:
        found = "nothing in it"
    elif archives and not loose:
        one = len(archives) == 1
        found = f"{'an archive' if one else f'{len(archives)} archives'} in it, and no class folder"
        found += f": give the path of {_name(archives)}, or unpack {'it' if one else 'them'}"
    elif loose:
        hint = say_names(loose, asked) or suggest_above(Path(where))
        found = f"{_count(loose, 'image')} in it, and no class folder{hint}"
    else:
        found = f"{_count(paths, 'file')} in it, none an image"
    return UserError(f"{asked.source} must be {SOURCE}. Received: {where!r} ({found})")


def _ends(path: str, suffixes: tuple[str, ...]) -> bool:
    return PurePosixPath(path).suffix.lower() in suffixes


def _count(paths: Sequence[str], what: str) -> str:
    return f"{len(paths):,} {what}{'' if len(paths) == 1 else 's'}"


def _name(paths: Sequence[str]) -> str:
    return ", ".join(map(repr, paths[:_NAMED])) + (", …" if len(paths) > _NAMED else "")
