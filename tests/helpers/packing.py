"""Archives made on the spot: honest ones of every kind, and members that no honest one has."""

import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from graft.images.archives import Archive
from graft.images.files import File
from images import classes, listing, write

KINDS = (".zip", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2")
# What comes after the name of a .tar.
MODES = {".tar": "w", ".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2", ".tgz": "w:gz"}
REGULAR, FOLDER = 0o100644, 0o40755
GOOD = classes({"cat": 3, "dog": 3})


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Makes an archive of files by path, with entries for their folders as programs write them.

    Args:
        path: where; its suffix says which kind, and without one it is a folder.
        files: their bytes by path.
    """
    if not path.suffix:
        return write(path, files)
    folders = sorted({name.rpartition("/")[0] for name in files if "/" in name} - {""})
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for folder in folders:
                archive.mkdir(folder)
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        entries = [(folder, FOLDER, b"") for folder in folders]
        pack_tar(path, [*entries, *((name, 0, data) for name, data in files.items())])


def pack_tar(
    path: Path, members: Iterable[tuple[str, int, bytes] | tuple[tarfile.TarInfo, bytes]]
) -> None:
    """Makes a .tar of members one after the other: name, mode and bytes, or header and bytes."""
    with tarfile.open(path, MODES[path.suffix]) as archive:
        for *what, data in members:
            if isinstance(what[0], tarfile.TarInfo):
                info = what[0]
            else:
                info = tarfile.TarInfo(what[0])
                info.type = tarfile.DIRTYPE if what[1] == FOLDER else tarfile.REGTYPE
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def pack_members(path: Path, members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> None:
    """Makes an archive of files one after the other, whatever they are called."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for info, data in members:
                archive.writestr(info, data)
    else:
        pack_tar(path, [(name, 0, data) for name, data in members])


def header(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0
) -> tarfile.TarInfo:
    """The header before a member of a .tar.

    Args:
        name: its path.
        kind: such as `tarfile.SYMTYPE`.
        target: where a link leads.
        size: bytes that follow.
    """
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def mark(path: Path, name: bytes, offset: int, value: bytes) -> None:
    """Changes what a .zip says of a member, in its table of contents and before the member.

    Args:
        path: the archive.
        name: of the member.
        offset: the place of the value in the table's entry, from 6: what comes before, such as
            the version that made the archive, is in the table alone.
        value: the new bytes.
    """
    data = bytearray(path.read_bytes())
    for start, shift, length in ((b"PK\1\2", 0, 46), (b"PK\3\4", -2, 30)):
        place = data.find(start)
        while place >= 0:
            if data[place + length : place + length + len(name)] == name:
                data[place + offset + shift : place + offset + shift + len(value)] = value
            place = data.find(start, place + 4)
    path.write_bytes(bytes(data))


def read(path: Path) -> list[File]:
    """Everything in an archive."""
    return list(Archive(path).files())


def problems(path: str) -> dict[str, str]:
    """What the manifest says of the files that cannot be had."""
    rows = listing(path)
    assert {row["path"] for row in rows if not row["reason"]} == set(GOOD)
    return {row["path"]: row["reason"] for row in rows if row["reason"]}
