"""The files of an export beside the model, and the folder, which appears whole."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.common.tables import read_json

ABOUT, LABELS = "model.json", "labels.txt"
BESIDE = (LABELS, ABOUT)  # are also within a model whose format has a place for them
MADE_BY = "graft export"  # says `made_by` of `model.json`
_COMPILED = "__pycache__"  # Python leaves it where `use.py` is imported


def write_labels(folder: Path, classes: tuple[str, ...]) -> None:
    """Writes `labels.txt`: a class a line, in the order of the model's outputs.

    Line breaks within a name become spaces; `model.json` has it as it is.
    """
    lines = [" ".join(re.split(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+", name)) for name in classes]
    text = "".join(f"{line}\n" for line in lines)
    (folder / LABELS).write_text(text, encoding="utf-8", newline="\n")


def check_folder_of_export(folder: Path) -> None:
    """Checks that an export may take the place of what is there.

    Raises:
        UserError: it is a file, or a folder with anything that no export has put there.
    """
    allowed = "a new or empty folder, or an earlier export"
    name = f"--output {folder}"
    try:
        if not folder.exists() and not folder.is_symlink():
            above = next(path for path in folder.absolute().parents if path.exists())
            if not above.is_dir() or not os.access(above, os.W_OK):
                raise refuse(name, f"{allowed} in a folder to write to", str(above))
            return
        if folder.is_symlink() or not folder.is_dir():
            raise refuse(name, allowed, "a link" if folder.is_symlink() else "a file")
        inside = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise refuse(name, allowed, error.strerror) from None
    if not inside:
        return
    try:
        known = read_json(folder / ABOUT)
        expected = {*known.get("files", []), _COMPILED}
        others = [file for file in inside if file not in expected]
        is_export = known.get("made_by") == MADE_BY
    except (ValueError, OSError, RecursionError, AttributeError, TypeError):
        is_export = False
    if not is_export:
        raise refuse(name, allowed, f"a folder with {inside[0]}")
    if others:
        raise refuse(name, f"{allowed} to which nothing was added", f"an export with {others[0]}")


@contextmanager
def whole_export(folder: Path) -> Iterator[Path]:
    """Gives a temporary folder, which takes the place of `folder` once the block has ended well.

    An earlier export goes only then.
    """
    with whole(folder) as (part,):
        part.mkdir()
        yield part
        if folder.exists():
            # No folder can be renamed to one that has files: for a moment there is none.
            folder.replace(part.parent / "earlier")  # which goes with the temporary folder
