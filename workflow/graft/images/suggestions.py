"""What may have been meant by a path that is not right: hints for messages."""

import os
from itertools import islice
from pathlib import Path

from graft.common.errors import nearest
from graft.images.files import IMAGE_ENDS, is_hidden, printable

_NAMED = 3  # folders that a sentence names
_LOOKED_AT = 100  # names in a folder


def suggest_near(path: Path) -> str:
    """A hint for a path where nothing is: what fetches it, or something of nearly this name."""
    path = path.absolute()
    # Unlike methods of Path, this answers no for a name that is too long or has a zero byte in it.
    missing = [place for place in (path, *path.parents) if not os.path.exists(place)]  # noqa: PTH110
    if any(os.path.isfile(f"{place}.dvc") for place in missing):  # noqa: PTH113
        return " (DVC has it: `uv run dvc pull` fetches it)"
    if ".dvc/tmp/exps/" in path.as_posix():
        return (
            " (an experiment in a folder of its own has only what git or DVC tracks: give"
            " `uv run dvc add PHOTOS` and commit, or run it without --temp and --queue)"
        )
    try:
        top = next(folder for folder in path.parents if folder.is_dir())
        beside = [other.name for other in top.iterdir()]
    except OSError:
        return ""
    name = path.relative_to(top).parts[0]
    return nearest(name, beside, lambda near: printable(str(top / near)))


def suggest_above(path: Path) -> str:
    """A hint for the folder of one class, whose neighbours are the others; else nothing."""
    try:
        if not path.is_dir() or not path.parent.name:
            return ""
        folders = (other for other in path.parent.iterdir() if other.is_dir())
        shown = (other for other in folders if not is_hidden(other.name))
        beside = sorted(other.name for other in shown if other == path or _has_images(other))
    except OSError:
        return ""
    if len(beside) < 2:
        return ""
    named = ", ".join(beside[:_NAMED]) + (", …" if len(beside) > _NAMED else "")
    return printable(f"; did you mean {path.parent}, which has the folders {named}?")


def _has_images(folder: Path) -> bool:
    """Whether there are images directly in a folder, by the ends of some of its names."""
    return any(file.suffix.lower() in IMAGE_ENDS for file in islice(folder.iterdir(), _LOOKED_AT))
