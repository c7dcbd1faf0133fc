"""Archives of images, read in place and in one pass: nothing is unpacked to disk.

An archive comes from anywhere. Its paths are text and are never followed, its links lead nowhere,
and what it may unfold to in memory is bounded by its size on disk.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from graft.common.errors import UserError
from graft.images import files
from graft.images.files import File

# Pictures are packed already and archives of them unfold to about their own size; plain bitmaps of
# drawings to some dozen times it. Small archives may do as they like.
_EXPANSION, _ROOM = 200, 256 * 2**20
# How members of a .zip may be packed. Python unpacks bzip2 and LZMA as well, but in steps without
# bound: 42 bytes of bzip2 fill the memory.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Bytes of the longest header in a .tar that says more of the next member, such as a long name.
_LONGEST = 2**16
_SAYING_MORE = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# The first bytes of what packs a .tar.
_PACKED: dict[bytes, Callable[..., BinaryIO]] = {
    b"\x1f\x8b": gzip.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}


class NoArchive(Exception):
    """The file is no archive that can be read; the text says why."""


class Zip:
    """A .zip.

    Args:
        path: where it lies.

    Raises:
        NoArchive: it is none, or its table of contents cannot be read.
        UserError: it would unfold to more than an archive of images can.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except Exception as error:  # broken archives make zipfile raise almost anything
            raise NoArchive(_what(error)) from None
        total = sum(info.file_size for info in self._archive.infolist())
        if total > _limit(path):
            raise _unfolds(path)

    def files(self, wanted: Collection[str] | None = None) -> Iterator[File]:
        """Every file in the archive, or those of the paths in `wanted`."""
        for info in self._archive.infolist():
            path = _plain(_name(info))
            if info.is_dir() or not _asked(path, wanted):
                continue
            problem = (
                files.problem_of_path(path)
                or files.problem_of_kind(info.external_attr >> 16)
                or (files.ENCRYPTED if info.flag_bits & 1 else "")
                or ("" if info.compress_type in _PACKINGS else files.PACKED_ODDLY)
                or (files.TOO_LARGE if info.file_size > files.LARGEST_FILE else "")
            )
            yield File(path, None, problem) if problem else self._read(info, path)

    def _read(self, info: zipfile.ZipInfo, path: str) -> File:
        try:
            with self._archive.open(info) as member:
                # A member may hold more than it declares, so it is asked for no more. Its sum is
                # compared once that much has been read.
                return File(path, member.read(max(1, info.file_size)))
        except Exception as error:
            return File(path, None, files.unreadable(error))

    def close(self) -> None:
        """Closes the archive."""
        self._archive.close()


class Tar:
    """A .tar, packed by gzip, xz, bzip2 or not at all.

    Args:
        path: where it lies.

    Raises:
        NoArchive: it is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            next(self._members(), None)
        except UserError:
            raise
        except Exception as error:  # as of zipfile
            raise NoArchive(_what(error)) from None

    def files(self, wanted: Collection[str] | None = None) -> Iterator[File]:
        """Every file in the archive, or those of the paths in `wanted`.

        Raises:
            UserError: the archive is damaged, or unfolds to more than one of images can.
        """
        path, left = "its beginning", _limit(self._path)
        try:
            for tar, info in self._members():
                name = _plain(info.name)
                path = files.printable(name)
                if info.isdir() or not _asked(path, wanted):
                    continue
                problem = (
                    files.problem_of_path(name)
                    or (files.LINK if info.issym() or info.islnk() else "")
                    or ("" if info.isreg() else files.IRREGULAR)
                    or (files.TOO_LARGE if info.size > files.LARGEST_FILE else "")
                )
                if problem:
                    yield File(path, None, problem)
                    continue
                left -= info.size  # of a file with holes, more than lies in the archive
                if left < 0:
                    raise _unfolds(self._path)
                member = tar.extractfile(info)
                assert member is not None  # as for every regular file
                data = member.read()
                if len(data) < info.size:
                    raise EOFError("the archive ends within the file")
                yield File(path, data)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{str(self._path)!r} is damaged at {path!r}: {_what(error)}") from None

    def close(self) -> None:
        """Nothing stays open between two passes."""

    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        with self._path.open("rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            unpack = next((f for magic, f in _PACKED.items() if start.startswith(magic)), None)
            if unpack is None:
                stream, mode = raw, "r:"  # what is not wanted is skipped without being read
            else:
                stream, mode = _Bounded(unpack(raw), self._path), "r|"
            with tarfile.open(fileobj=stream, mode=mode, tarinfo=_Header, encoding="utf-8") as tar:
                while (info := tar.next()) is not None:
                    if info.size < 0:  # tarfile would go backwards, and round for ever
                        raise tarfile.ReadError("a negative size")
                    yield tar, info
                    # tarfile remembers every member; only the last is needed to go on.
                    tar.members.clear()
            while unpack is not None and stream.read(2**16):
                pass  # the sum over all that was packed stands behind it


class _Header(tarfile.TarInfo):
    """What stands before a member of a .tar."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        """Reads a header, as does the class above, and lets no broken one pass.

        Raises:
            tarfile.EOFHeaderError: it is the zeros that end an archive.
            tarfile.ReadError: it is no header. tarfile itself takes a broken one for the end of
                the archive, and what follows would be missing without a word.
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


class _Bounded(io.RawIOBase):
    """What a packed archive unfolds to, as long as that is no more than pictures can be."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path, self._left = stream, path, _limit(path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = self._stream.readinto(buffer)
        self._left -= count
        if self._left < 0:
            raise _unfolds(self._path)
        return count


def open_archive(path: Path) -> closing[Zip] | closing[Tar]:
    """Opens an archive by what it is, whatever it is called.

    Raises:
        NoArchive: it is neither a .zip nor a .tar.
        UserError: it would unfold to more than an archive of images can.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise NoArchive(_what(error)) from None
    packed = any(start.startswith(magic) for magic in _PACKED)
    return closing(Tar(path) if packed or _is_tar(start) else Zip(path))


def _is_tar(start: bytes) -> bool:
    if start[257:262] == b"ustar":
        return True
    try:
        _Header.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:
        return True  # with nothing in it
    except tarfile.TarError:
        return False
    return True  # of the time before the mark, known by its sum


def _limit(path: Path) -> int:
    return max(_ROOM, _EXPANSION * path.stat().st_size)


def _unfolds(path: Path) -> UserError:
    allowed = f"an archive of images, which unfolds to less than {_EXPANSION} times its size"
    return UserError(f"{str(path)!r} must be {allowed}. Received: one that unfolds to more")


def _what(error: Exception) -> str:
    return files.unreadable(error).removeprefix(files.UNREADABLE)


def _name(info: zipfile.ZipInfo) -> str:
    """A member's path as its maker wrote it."""
    # Without flag 11 names are in the first PC's letters, but macOS writes UTF-8 and sets no flag.
    # Names in other letters hardly ever happen to be UTF-8.
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _plain(name: str) -> str:
    """A member's path without `./` and doubled slashes, which programs add."""
    return str(PurePosixPath(name))


def _asked(path: str, wanted: Collection[str] | None) -> bool:
    return not files.is_hidden(path) if wanted is None else path in wanted
