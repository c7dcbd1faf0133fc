"""What a stage is handed and what it writes does no harm, even in a project of a stranger.

An array of Python objects is a pickle, which runs code when it is loaded. NumPy refuses it, but in
the middle of a stage and without the name of the file. And what is there already, where a stage
will write, both engines remove before it runs.
"""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from graft.common.errors import refuse


def check_inside(where: str, output: Path) -> None:
    """Checks the path of an output.

    Args:
        where: what names it, for errors.
        output: the path, from the folder of the project.

    Raises:
        UserError: it leads out of the project.
    """
    if output.is_absolute() or ".." in output.parts or not output.name:
        raise refuse(f"{where}: an output", "a file inside of the project", str(output))


def check_folders(outputs: Iterable[Path]) -> None:
    """Refuses a link in place of a folder of results: DVC would, once the stage has ended.

    Args:
        outputs: the files that stages write.

    Raises:
        UserError: the folder of one is a link that leads out of the project.
    """
    top = Path.cwd().resolve()
    for folder in dict.fromkeys(output.parent for output in outputs):
        if not folder.resolve().is_relative_to(top):
            raise refuse(
                str(folder),
                "a folder of the project; large files go to another disk by `dvc cache dir`",
                f"a link to {folder.resolve()}",
            )


def check_arrays(paths: Iterable[Path]) -> None:
    """Checks the `.npy` and `.npz` files among the inputs of a stage.

    Args:
        paths: the inputs.

    Raises:
        UserError: one of them holds Python objects, is no such file, or says that it has more
            numbers than are there.
    """
    for path in paths:
        if path.suffix in (".npy", ".npz") and path.is_file() and (problem := _problem_of(path)):
            allowed = "an array of numbers, as its stage writes it: delete it and run that anew"
            raise refuse(str(path), allowed, problem)


def _problem_of(path: Path) -> str:
    """Why this is no file of arrays; empty if it is one."""
    try:
        if path.suffix == ".npy":
            with path.open("rb") as file:
                return _problem_of_array(file, path.stat().st_size)
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    if problem := _problem_of_array(member, info.file_size):
                        return f"{info.filename}: {problem}"
    except Exception as error:  # broken files make NumPy and zipfile raise almost anything
        return " ".join(str(error)[:200].split()) or type(error).__name__
    return ""


def _problem_of_array(file: BinaryIO, size: int) -> str:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, kind = read(file)
    if kind.hasobject:
        return "Python objects, which only a pickle can hold"
    stored, needed = size - file.tell(), math.prod(shape) * kind.itemsize
    return "" if stored == needed else f"{stored:,} bytes of the {needed:,} that it says it has"
