"""What the files of arrays hold that a stage is given, looked at before it opens any.

An array of Python objects is a pickle, which runs code when it is loaded. NumPy refuses it, but in
the middle of a stage and without the name of the file.
"""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from graft.common.errors import refuse


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
