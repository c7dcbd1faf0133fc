"""Where the raw images lie: a folder of class folders or an archive of one, read in place.

    photos/
      cat/ 1.jpg 2.jpg …
      dog/ 1.jpg 2.jpg …

Every file below a class folder belongs to that class, however deep. A folder that only wraps the
class folders (`photos.zip` holding `photos/cat/…`) is looked through. Where all folders are parts
(`train`, `validation`, `test_set`: names as people use them), the class folders lie below them.
Files beside the class folders, and hidden ones, are no images of any class and are left alone.
"""

import hashlib
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from graft.errors import refuse

WHERE = "params.yaml: dataset.path"
PART_NAMES = {
    name: part
    for part, names in {
        "train": ("train", "training", "train_set", "training_set"),
        "valid": ("valid", "validation", "val", "valid_set", "validation_set", "val_set"),
        "test": ("test", "testing", "test_set", "testing_set"),
    }.items()
    for name in names
}
# What reading a file can raise: it is gone, or its archive is damaged, encrypted or packed oddly.
UNREADABLE = (
    OSError,
    KeyError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class Member:
    """One file of a source.

    Attributes:
        path: its path within the source, with `/` between the parts.
        label: the name of its class folder.
        part: train, valid or test where the source comes divided, else empty.
    """

    path: str
    label: str
    part: str


class Source(Protocol):
    """A set of files that can be listed and read one by one."""

    def names(self) -> list[str]:
        """The paths of all files, in any order, with `/` between the parts."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The file of that path, to read from its start."""
        ...


class _Folder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        files = (path for path in self._path.rglob("*") if path.is_file())
        return [path.relative_to(self._path).as_posix() for path in files]

    def open(self, name: str) -> BinaryIO:
        return (self._path / name).open("rb")


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> list[str]:
        return [info.filename for info in self._archive.infolist() if not info.is_dir()]

    def open(self, name: str) -> BinaryIO:
        return self._archive.open(name)  # type: ignore[return-value]


@contextmanager
def source(path: str) -> Iterator[Source]:
    """Opens the folder or archive at `path`.

    Raises:
        UserError: it is not there, or is neither a folder nor a readable .zip.
    """
    place = Path(path)
    if place.is_dir():
        yield _Folder(place)
        return
    if not place.is_file():
        raise refuse(WHERE, "a folder of class folders, or a .zip of one", path)
    try:
        archive = zipfile.ZipFile(place)
    except zipfile.BadZipFile as error:
        raise refuse(
            WHERE, "a folder of class folders, or a .zip of one", f"{path} ({error})"
        ) from None
    with archive:
        yield _Zip(archive)


def identity(file: BinaryIO) -> str:
    """The id of a file: 32 hexadecimal digits of BLAKE2b over its bytes, read in pieces."""
    digest = hashlib.blake2b(digest_size=16)
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def natural(text: str) -> list[tuple[int, int, str]]:
    """The key that sorts `2` before `10`, as people count; text of the same key sorts by itself."""
    parts = re.split(r"([0-9]+)", text)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def members(files: Source, path: str) -> list[Member]:
    """The files of every class, in natural order of their paths.

    Args:
        files: the opened source.
        path: what `dataset.path` says, for the error.

    Raises:
        UserError: there are no class folders with files.
    """
    visible = [name for name in files.names() if not _hidden(name)]
    parts = [PurePosixPath(name).parts for name in visible]
    depth = 0
    # A level with one folder and no class beside it wraps the classes, unless it is a class itself.
    while len({p[depth] for p in parts if len(p) > depth + 1}) == 1 and any(
        len(p) > depth + 2 for p in parts
    ):
        depth += 1
    tops = {p[depth] for p in parts if len(p) > depth + 1}
    divided = len(tops) > 1 and all(top.lower() in PART_NAMES for top in tops)
    found = [
        Member(
            path=name,
            label=p[depth + divided],
            part=PART_NAMES[p[depth].lower()] if divided else "",
        )
        for name, p in zip(visible, parts, strict=True)
        if len(p) > depth + divided + 1
    ]
    if not found:
        raise refuse(WHERE, "a folder of class folders with images, or a .zip of one", path)
    return sorted(found, key=lambda member: natural(member.path))


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)
