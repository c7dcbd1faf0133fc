"""Archives of images, read in place and in one pass: nothing is unpacked to disk.

An archive comes from anywhere. Its paths are text and are never followed, its links lead nowhere,
and its content in memory is bounded by its size on disk.
"""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, TypeAlias

from graft.common.errors import UserError, refuse
from graft.decoder import reasons
from graft.images import files
from graft.images.files import File

# Pictures are packed already, and archives of them unfold to about their own size; plain bitmaps of
# drawings to some dozen times it. Small archives may unfold to any size up to `_ROOM` bytes.
_EXPANSION, _ROOM = 200, 256 * 2**20
# How members of a .zip may be packed. Python unpacks bzip2 and LZMA as well, but in steps without
# bound: 42 bytes of bzip2 fill the memory.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Bytes of the longest header in a .tar that says more of the next member, such as a long name.
_LONGEST = 2**16
_SAYING_MORE = (b"x", b"g", b"X", b"L", b"K")  # of pax, Solaris and GNU
# The first bytes of a .zip, with files in it and without.
_ZIPPED = (b"PK\x03\x04", b"PK\x05\x06")
_Unpack: TypeAlias = Callable[[BinaryIO], BinaryIO]
_Member: TypeAlias = tuple[tarfile.TarFile, tarfile.TarInfo]
# The first bytes of a packed .tar.
_PACKED = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\x00": lzma.open, b"BZh": bz2.open}


def is_archive(path: str) -> bool:
    """Whether a file begins as an archive does, whatever its name is; no image begins so."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            start = file.read(512)
    except (OSError, ValueError):
        return False
    # A damaged photo may begin with zeros, as does the end of a .tar.
    return start.startswith((*_PACKED, *_ZIPPED)) or (any(start) and _is_tar(start))


class NoArchive(Exception):
    """The file is no archive that can be read; the text says why."""


class Archive(NamedTuple):
    """A .zip, or a .tar that is packed by gzip, xz, bzip2 or not at all, whatever its name is.

    Attributes:
        path: of the file.
    """

    path: Path

    def files(self, wanted: Collection[str] | None = None, folders: bool = False) -> Iterator[File]:
        """Reads every file in the archive that is not hidden, or those of the paths in `wanted`.

        Args:
            wanted: the paths of those to read; without it all but hidden ones.
            folders: whether folders that are named come too, as what cannot be read.

        Raises:
            NoArchive: it is neither a .zip nor a .tar.
            UserError: it is damaged, or unfolds to more than an archive of images can.
        """

        def asked(name: str) -> bool:
            return not files.is_hidden(name) if wanted is None else name in wanted

        listed = (file for file in self._list(asked) if asked(file.path))
        return (file for file in listed if folders or file.problem != files.FOLDER)

    def paths(self) -> Iterator[str]:
        """The paths of all files but hidden ones; what a .zip holds is not unpacked for it.

        Raises:
            NoArchive, UserError: as for `files`.
        """
        for file in self._list(lambda name: False):
            if not files.is_hidden(file.path) and file.problem != files.FOLDER:
                yield file.path

    def _list(self, asked: Callable[[str], bool]) -> Iterator[File]:
        """Every file in the archive; only those that are asked for, by their paths, are read."""
        try:
            with self.path.open("rb") as file:
                start = file.read(512)
        except OSError as error:
            raise NoArchive(_what(error)) from None
        unpack = next((f for magic, f in _PACKED.items() if start.startswith(magic)), None)
        if unpack or _is_tar(start):
            return _read_tar(self.path, unpack, asked)
        if start.startswith(_ZIPPED) or zipfile.is_zipfile(self.path):
            return _read_zip(self.path, asked)
        raise NoArchive("neither a .zip nor a .tar")


def _read_zip(path: Path, asked: Callable[[str], bool]) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise NoArchive(f"a .zip that is cut off or damaged: {_what(error)}") from None
    except Exception as error:  # broken archives make zipfile raise almost anything
        raise NoArchive(_what(error)) from None
    with archive:
        _check_unfolded(path, sum(info.file_size for info in archive.infolist()))
        for info in archive.infolist():
            name, data = str(PurePosixPath(_name(info))), None
            problem = (
                (files.FOLDER if info.is_dir() else "")
                or files.problem_of_path(name)
                or reasons.problem_of_kind(info.external_attr >> 16)
                or (files.ENCRYPTED if info.flag_bits & 1 else "")
                or ("" if info.compress_type in _PACKINGS else files.PACKED_ODDLY)
                or (reasons.TOO_LARGE if info.file_size > reasons.LARGEST_FILE else "")
            )
            if asked(name) and not problem:
                try:
                    with archive.open(info) as member:
                        # A member may hold more than it declares, so no more is read. Its sum is
                        # compared once that much has been read.
                        data = member.read(max(1, info.file_size))
                except Exception as error:
                    problem = reasons.unreadable(error)
            yield File(name, data, problem)


def _read_tar(path: Path, unpack: _Unpack | None, asked: Callable[[str], bool]) -> Iterator[File]:
    shown, unfolded = "", 0
    try:
        for tar, info in _members(path, unpack):
            name = str(PurePosixPath(info.name))
            shown, data = files.printable(name), None
            problem = (
                (files.FOLDER if info.isdir() else "")
                or files.problem_of_path(name)
                or (reasons.LINK if info.issym() or info.islnk() else "")
                or ("" if info.isreg() else reasons.IRREGULAR)
                or (reasons.TOO_LARGE if info.size > reasons.LARGEST_FILE else "")
            )
            if asked(shown) and not problem:
                unfolded += info.size  # of a file with holes, more than the archive holds
                _check_unfolded(path, unfolded)
                data = tar.extractfile(info).read()
                if len(data) < info.size:
                    raise EOFError("the archive ends within the file")
            yield File(shown, data, problem)
    except UserError:
        raise
    except Exception as error:  # as in _read_zip
        if not shown:
            raise NoArchive(_what(error)) from None
        raise UserError(f"{str(path)!r} is damaged at {shown!r}: {_what(error)}") from None


def _members(path: Path, unpack: _Unpack | None) -> Iterator[_Member]:
    with path.open("rb") as raw:
        # Where nothing is packed, `r:` skips what is not wanted without reading it.
        stream, mode = (_Bounded(unpack(raw), path), "r|") if unpack else (raw, "r:")
        with tarfile.open(fileobj=stream, mode=mode, tarinfo=_Header, encoding="utf-8") as tar:
            while (info := tar.next()) is not None:
                if info.size < 0:  # tarfile would go backwards, and round for ever
                    raise tarfile.ReadError("a negative size")
                yield tar, info
                # tarfile remembers every member; only the last is needed to go on.
                tar.members.clear()
        while unpack is not None and stream.read(2**16):
            pass  # the sum over all that was packed is behind it


class _Header(tarfile.TarInfo):
    """The header before a member of a .tar."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        """Reads a header, as does the class above, and lets no broken one pass.

        Raises:
            tarfile.EOFHeaderError: it is the zeros that end an archive.
            tarfile.ReadError: it is no header. tarfile itself takes a broken one for the end of
                the archive, and the members behind it would be missing without a word.
        """
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if header.size < 0 or (header.type in _SAYING_MORE and header.size > _LONGEST):
            raise tarfile.ReadError(f"a header of {header.size} bytes")
        return header


class _Bounded:
    """The content of a packed archive, as long as that is no more than pictures can be."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path, self._count = stream, path, 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._count += len(data)
        _check_unfolded(self._path, self._count)
        return data


def _check_unfolded(path: Path, count: int) -> None:
    """Refuses an archive that unfolds to so many bytes, if these are too many."""
    if count > max(_ROOM, _EXPANSION * path.stat().st_size):
        allowed = f"an archive of images, which unfolds to less than {_EXPANSION} times its size"
        raise refuse(repr(str(path)), allowed, "one that unfolds to more")


def _is_tar(start: bytes) -> bool:
    try:
        _Header.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        # The first is of one with nothing in it.
        return isinstance(error, tarfile.EOFHeaderError) or start[257:262] == b"ustar"
    return True  # also one of the time before the mark, known by its sum


def _what(error: Exception) -> str:
    return reasons.unreadable(error).removeprefix(reasons.UNREADABLE)


def _name(info: zipfile.ZipInfo) -> str:
    """A member's path as its maker wrote it."""
    # Without flag 11 names are in the first PC's letters, but macOS writes UTF-8 and sets no flag.
    # Names in other letters hardly ever happen to be UTF-8.
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename
