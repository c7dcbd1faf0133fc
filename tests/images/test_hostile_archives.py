"""What no honest archive holds: nothing of it is followed, and nothing fills the memory."""

import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from graft.common.errors import UserError
from graft.decoder import reasons
from graft.images import archives, files
from images import change, check, complaint, encoded, listing, nothing_made, picture
from packing import GOOD, KINDS, header, mark, pack, pack_members, pack_tar, problems, read

pytestmark = pytest.mark.usefixtures("nothing_outside")

IMAGE = encoded(picture(70))
TARS = KINDS[1:]
# The headers before a member that say more of it, and how long that is.
HEADERS = [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE]
HEADERS += [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
# Paths that lead elsewhere, and what is said of them.
PATHS = dict.fromkeys(("/etc/passwd", "//etc/passwd", "/cat/1.png"), files.ABSOLUTE)
OUTSIDE = ("../secret.png", "cat/../../secret.png", "cat/../dog/0.png", "..")
PATHS |= dict.fromkeys(OUTSIDE, files.LEADS_OUT) | {"x/" * 3000 + "1.png": files.TOO_LONG}


class TestHostileMembers:
    """What no honest archive holds is set aside, and the rest is read."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_paths_that_lead_elsewhere(self, here: Path, kind: str) -> None:
        members = [*GOOD.items(), *((path, IMAGE) for path in PATHS)]
        pack_members(here / f"photos{kind}", members)
        assert problems(f"photos{kind}") == PATHS
        rows = {row["path"]: row for row in listing()}
        assert {rows[path]["label"] for path in PATHS} == {""}
        assert files.identity(IMAGE) not in {row["id"] for row in rows.values()}
        assert {path: row["reason"] for path, row in check().items() if row["reason"]} == PATHS

    @pytest.mark.parametrize("kind", TARS)
    def test_links_and_devices_in_a_tar(self, here: Path, kind: str) -> None:
        links = [
            header("cat/out.png", tarfile.SYMTYPE, "../secret.png"),
            header("cat/root.png", tarfile.SYMTYPE, "/etc/passwd"),
            header("cat/self.png", tarfile.SYMTYPE, "self.png"),
            header("cat/folder", tarfile.SYMTYPE, ".."),
            header("cat/folder/secret.png", tarfile.LNKTYPE, "secret.png"),
            header("cat/hard.png", tarfile.LNKTYPE, "/etc/passwd"),
        ]
        kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z")
        others = [header(f"cat/odd {number}", own) for number, own in enumerate(kinds)]
        good = [(name, 0, data) for name, data in GOOD.items()]
        pack_tar(here / f"photos{kind}", [*good, *((info, b"") for info in links + others)])
        expected = {info.name: reasons.LINK for info in links}
        expected |= {info.name: reasons.IRREGULAR for info in others}
        assert problems(f"photos{kind}") == expected

    def test_links_and_devices_in_a_zip(self, here: Path) -> None:
        members: list[tuple[str | zipfile.ZipInfo, bytes]] = [*GOOD.items()]
        modes = {"link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "device": stat.S_IFCHR}
        for name, mode in (modes | {"socket": stat.S_IFSOCK}).items():
            info = zipfile.ZipInfo(f"cat/{name}")
            info.external_attr = (mode | 0o777) << 16
            members.append((info, b"../secret.png"))
        pack_members(here / "photos.zip", members)
        assert problems("photos.zip") == {
            "cat/link": reasons.LINK,
            **{f"cat/{name}": reasons.IRREGULAR for name in ("pipe", "device", "socket")},
        }

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize("kind", KINDS)
    def test_two_of_one_name(self, here: Path, kind: str) -> None:
        members = [*GOOD.items()]
        members += [("cat/a", IMAGE), ("./cat//a", IMAGE), ("cat/b", b"1"), ("cat/b", b"2")]
        pack_members(here / f"photos{kind}", members)
        rows = [row for row in listing(f"photos{kind}") if row["reason"]]
        assert [row["path"] for row in rows] == ["cat/a", "cat/a", "cat/b", "cat/b"]
        assert {row["reason"] for row in rows} == {files.NAME_TWICE}
        assert len({row["id"] for row in rows}) == 4
        check()

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_tables_of_one_name_are_an_error(self, here: Path) -> None:
        table = b"path,label\ncat/0.png,cat\n"
        twice = [("labels.csv", data) for data in (table, b"")]
        pack_members(here / "photos.zip", [*GOOD.items(), *twice])
        with pytest.raises(UserError, match=r"'labels.csv' cannot be read: two files of this name"):
            listing("photos.zip")

    @pytest.mark.parametrize("kind", TARS)
    def test_names_that_are_no_text(self, here: Path, kind: str) -> None:
        with tarfile.open(here / "photos.tar", "w", format=tarfile.GNU_FORMAT) as archive:
            for name, data in [*GOOD.items(), ("cat/\udcff.png", b"1"), ("\udce9/1.png", b"2")]:
                archive.addfile(header(name, size=len(data)), io.BytesIO(data))
        compress = {".tar.gz": gzip.compress, ".tar.xz": lzma.compress}.get(kind, bytes)
        (here / "photos2").write_bytes(compress((here / "photos.tar").read_bytes()))
        names = (r"cat/\xff.png", r"\xe9/1.png")
        assert problems("photos2") == dict.fromkeys(names, files.NOT_UTF8)

    def test_names_that_a_zip_only_calls_utf_8(self, here: Path) -> None:
        pack(here / "photos.zip", {"é/1.png": b""})
        data = (here / "photos.zip").read_bytes()
        (here / "photos.zip").write_bytes(data.replace("é".encode(), b"\xff\xff"))
        with pytest.raises(UserError, match=r"dataset\.path must be .* can't decode byte 0xff"):
            listing("photos.zip")

    def test_encrypted_damaged_and_oddly_packed_members_of_a_zip(self, here: Path) -> None:
        path = here / "photos.zip"
        packings = {"lzma": zipfile.ZIP_LZMA, "bzip2": zipfile.ZIP_BZIP2}
        odd = ("locked", "sum", "lzma", "bzip2", "unknown", "short", "far")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in GOOD.items():
                archive.writestr(name, data)
            for name in odd:
                archive.writestr(f"cat/{name}", IMAGE, packings.get(name))
        mark(path, b"cat/locked", 8, b"\1\0")
        mark(path, b"cat/sum", 16, b"\1\2\3\4")
        mark(path, b"cat/unknown", 10, b"\x62\0")
        mark(path, b"cat/short", 24, struct.pack("<I", 10))
        mark(path, b"cat/0.png", 24, struct.pack("<I", 100_000_000))  # more than is there
        data = bytearray(path.read_bytes())
        place = data.rindex(b"cat/far") - 4  # where the table says that the member begins
        data[place : place + 4] = struct.pack("<I", 2**31)
        path.write_bytes(data)
        found = problems("photos.zip")
        assert found.pop("cat/locked") == files.ENCRYPTED
        for name in ("lzma", "bzip2", "unknown"):
            assert found.pop(f"cat/{name}") == files.PACKED_ODDLY
        assert set(found) == {"cat/sum", "cat/short", "cat/far"}
        assert all(reason.startswith("unreadable: ") for reason in found.values())
        assert "CRC" in found["cat/sum"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_files_that_are_too_large(
        self, here: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reasons, "LARGEST_FILE", 5000)
        pack(here / f"photos{kind}", GOOD | {"cat/large.png": bytes(5001), "cat/5000": bytes(5000)})
        rows = {row["path"]: row["reason"] for row in listing(f"photos{kind}")}
        assert {path for path, reason in rows.items() if reason} == {"cat/large.png"}
        assert rows["cat/large.png"] == reasons.TOO_LARGE


class TestBombs:
    """What would fill the memory, or keep a core busy for ever."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Limits that a test can reach."""
        monkeypatch.setattr(archives, "_ROOM", 2**20)

    @pytest.mark.parametrize("kind", [".zip", ".tar.gz", ".tar.xz", ".tar.bz2"])
    @pytest.mark.parametrize("where", ["cat/bomb.png", ".hidden"])
    def test_a_thousand_fold_expansion(self, here: Path, kind: str, where: str) -> None:
        pack(here / f"photos{kind}", GOOD | {where: bytes(2**24)})
        with pytest.raises(UserError, match=r"must be an archive of images, .* Received"):
            listing(f"photos{kind}")
        assert nothing_made()

    def test_one_in_the_command(self, here: Path) -> None:
        with lzma.open(here / "photos.tar.xz", "w", preset=0) as file:
            file.write(header("cat/bomb.png", size=300 * 2**20).tobuf())
            for _ in range(300):
                file.write(bytes(2**20))
        change(here, {"dataset.path": "photos.tar.xz"})
        said = complaint(here, "manifest", "--shards", "4")
        assert "Received: 'one that unfolds to more'" in said and nothing_made()

    @pytest.mark.parametrize("fold", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_member_that_unfolds_to_more_than_it_says(self, here: Path, fold: int) -> None:
        with zipfile.ZipFile(here / "photos.zip", "w", fold) as archive:
            for number in range(3):
                archive.writestr(f"cat/{number}", bytes(2**24))
        for number in range(3):
            mark(here / "photos.zip", b"cat/%d" % number, 24, struct.pack("<I", 1000))
        tracemalloc.start()
        found = read(here / "photos.zip")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**22
        assert [file.data for file in found] == [None] * 3
        assert all(file.problem for file in found)

    def test_many_entries_for_the_same_bytes(self, here: Path) -> None:
        with zipfile.ZipFile(here / "photos.zip", "w") as archive:
            archive.writestr("cat/0", bytes(100_000))
            first = archive.infolist()[0]
            for number in range(1, 2000):
                other = zipfile.ZipInfo(f"cat/{number}")
                for name in ("header_offset", "CRC", "compress_size", "file_size"):
                    setattr(other, name, getattr(first, name))
                archive.filelist.append(other)
        with pytest.raises(UserError, match=r"must be an archive of images"):
            read(here / "photos.zip")

    def test_a_file_that_is_all_holes(self, here: Path) -> None:
        hole = header("cat/hole", tarfile.GNUTYPE_SPARSE)
        block = bytearray(hole.tobuf(tarfile.GNU_FORMAT))
        block[483:495] = b"%011o\0" % 2**19
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        (here / "photos.tar").write_bytes(bytes(block) * 3 + bytes(1024))
        with pytest.raises(UserError, match=r"must be an archive of images"):
            read(here / "photos.tar")
        (here / "photos.tar").write_bytes(bytes(block) + bytes(1024))
        assert [len(file.data) for file in read(here / "photos.tar")] == [2**19]

    @pytest.mark.parametrize("kind", HEADERS)
    @pytest.mark.parametrize("size", [2**17, 2**33, -512])
    def test_a_header_without_end(self, here: Path, kind: bytes, size: int) -> None:
        info = header("cat/0", kind, size=size)
        block = info.tobuf(tarfile.GNU_FORMAT)
        for packed in (bytes, gzip.compress, lzma.compress):
            (here / "photos.tar").write_bytes(packed(block + bytes(2**18)))
            with pytest.raises(archives.NoArchive, match=r"a header of -?\d+ bytes"):
                read(here / "photos.tar")

    @pytest.mark.parametrize("way", ["size", "pax"])
    def test_a_negative_size(self, here: Path, way: str) -> None:
        with tarfile.open(here / "photos.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for name, data in GOOD.items():
                archive.addfile(header(name, size=len(data)), io.BytesIO(data))
            info = header("cat/back", size=0 if way == "pax" else -5120)
            if way == "pax":
                info.pax_headers = {"size": "-5120"}
                archive.addfile(info)
            else:
                archive.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))
                archive.offset += 512
        with pytest.raises(UserError, match=r"'dog/2\.png': a (negative|header of -)"):
            read(here / "photos.tar")
