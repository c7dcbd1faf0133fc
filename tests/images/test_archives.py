"""Images in an archive: the same as in a folder, or one message."""

import bz2
import gzip
import lzma
import runpy
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.classes import normal
from graft.common.errors import UserError
from graft.images import files
from graft.images.archives import Archive, NoArchive
from images import ODD, ROOT, encoded, listing, nothing_made, picture
from packing import GOOD, KINDS, mark, pack, pack_members, problems, read

IMAGE = encoded(picture(70))
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
NAMES = st.text(LETTERS, min_size=1).filter(lambda name: not name.startswith("."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


class TestLikeAFolder:
    """The same rows, however the files are packed; `test_tensors.py` has the same pixels."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_suffix_says_nothing(self, here: Path, kind: str) -> None:
        pack(here / f"photos{kind}", GOOD)
        for name in ("photos.jpg", "photos.zip.txt", "photos"):
            (here / name).write_bytes((here / f"photos{kind}").read_bytes())
            assert problems(name) == {}

    @pytest.mark.parametrize("kind", KINDS)
    def test_names_are_data(self, here: Path, kind: str) -> None:
        inside = {f"{label}/{label}": b"" for label in ODD}
        pack(here / f"photos{kind}", inside)
        rows = listing(f"photos{kind}")
        known = {name: normal(name.split("/")[0]) for name in inside}
        assert {row["path"]: row["label"] for row in rows} == known

    @given(
        st.dictionaries(PATHS, st.binary(max_size=20), min_size=1, max_size=5),
        st.sampled_from(KINDS),
    )
    def test_any_name_is_read_as_written(self, inside: Mapping[str, bytes], kind: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pack(Path(folder, f"photos{kind}"), inside)
            found = read(Path(folder, f"photos{kind}"))
        wanted = {name: data for name, data in inside.items() if not files.is_hidden(name)}
        assert {file.path: file.data for file in found} == wanted

    @pytest.mark.parametrize("kind", KINDS)
    def test_only_what_is_wanted_is_read(self, here: Path, kind: str) -> None:
        pack(here / f"photos{kind}", GOOD)
        found = Archive(here / f"photos{kind}").files({"dog/1.png", "x"})
        assert [file.path for file in found] == ["dog/1.png"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_hidden_files_and_archives_inside_are_left_alone(self, here: Path, kind: str) -> None:
        pack(here / f"photos{kind}", GOOD)
        inner = (here / f"photos{kind}").read_bytes()
        hidden = dict.fromkeys(("cat/.DS_Store", "__MACOSX/cat/._0.png", ".git/x"), b"")
        pack(here / f"photos2{kind}", GOOD | hidden | {"dog/more.zip": inner, "more.tar": inner})
        rows = listing(f"photos2{kind}")
        assert {row["path"] for row in rows} == {*GOOD, "dog/more.zip"}

    @pytest.mark.parametrize("kind", KINDS)
    def test_what_a_program_adds_to_paths_is_taken_off(self, here: Path, kind: str) -> None:
        members = [("./" + name.replace("/", "//"), data) for name, data in GOOD.items()]
        pack_members(here / f"photos{kind}", members)
        assert problems(f"photos{kind}") == {}

    def test_utf_8_without_the_flag_for_it(self, here: Path) -> None:
        # As macOS writes it. Where it is not UTF-8, it is the first PC's letters.
        pack(here / "photos.zip", {"고양이/1.png": b"", "dog/é.png": b""})
        for name in ("고양이/".encode(), "고양이/1.png".encode(), "dog/é.png".encode()):
            mark(here / "photos.zip", name, 8, b"\0\0")
        data = (here / "photos.zip").read_bytes()
        (here / "photos.zip").write_bytes(data.replace("é".encode(), b"e\x82"))
        assert [row["path"] for row in listing("photos.zip")] == ["dog/eé.png", "고양이/1.png"]


class TestDamaged:
    """An archive is read as a whole, or there is one message."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.999])
    def test_a_cut_one_is_an_error(self, here: Path, kind: str, share: float) -> None:
        pack(here / f"photos{kind}", GOOD)
        whole = (here / f"photos{kind}").read_bytes()
        end = len(whole) if kind != ".tar" else len(whole.rstrip(b"\0"))
        (here / f"photos{kind}").write_bytes(whole[: int(end * share)])
        with pytest.raises(UserError, match=r"is damaged at|dataset\.path must be"):
            listing(f"photos{kind}")
        assert nothing_made()

    @pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress, bz2.compress])
    def test_a_broken_header_does_not_end_the_list(self, here: Path, compress: Any) -> None:
        pack(here / "photos.tar", GOOD)
        data = (here / "photos.tar").read_bytes().replace(b"dog/1.png", b"dog/X.png")
        (here / "photos.tar").write_bytes(compress(data))
        with pytest.raises(UserError, match=r"damaged at 'dog/0\.png': bad checksum"):
            listing("photos.tar")

    @pytest.mark.parametrize(
        "kind, change, said",
        [
            (".tar", lambda data: data[: data.index(b"dog/1.png")], r"at 'dog/0\.png'"),
            (".tar.gz", lambda data: data[:-8] + b"\1\2\3\4" + data[-4:], "at .*CRC"),
        ],
        ids=["ends between two files", "wrong sum over all"],
    )
    def test_damage_is_an_error(self, here: Path, kind: str, change: Any, said: str) -> None:
        pack(here / f"photos{kind}", GOOD)
        path = here / f"photos{kind}"
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(UserError, match=rf"'photos{kind}' is damaged {said}"):
            listing(path.name)

    @pytest.mark.parametrize("kind", [".zip", ".tar"])
    def test_garbage_around_does_no_harm(self, here: Path, kind: str) -> None:
        """Behind, and before a .zip, which may be a program."""
        pack(here / f"photos{kind}", GOOD)
        data = (here / f"photos{kind}").read_bytes()
        before = [b"", b"#!/bin/sh\nexit\n"] if kind == ".zip" else [b""]
        for more, behind in ((before[0], b"garbage" * 100), (before[-1], b"")):
            (here / f"photos{kind}").write_bytes(more + data + behind)
            assert problems(f"photos{kind}") == {}

    @pytest.mark.parametrize("kind", KINDS)
    def test_an_empty_one_is_an_error(self, here: Path, kind: str) -> None:
        pack(here / f"photos{kind}", {})
        received = rf"'photos{kind}' \(nothing in it\)"
        with pytest.raises(UserError, match=rf"dataset\.path must be .* Received: {received}$"):
            listing(f"photos{kind}")

    @pytest.mark.parametrize(
        "data",
        [b"", b"text", bytes(100), IMAGE, b"PK\5\6", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0"],
        ids=ascii,
    )
    def test_what_is_none_is_an_error(self, here: Path, data: bytes) -> None:
        (here / "photos.zip").write_bytes(data)
        with pytest.raises(UserError, match=r"dataset\.path must be .* 'photos.zip \(.+\)'"):
            listing("photos.zip")

    def test_a_tar_of_the_first_kind_is_read(self, here: Path) -> None:
        pack(here / "photos.tar", GOOD)
        data = bytearray((here / "photos.tar").read_bytes())
        for place in range(0, len(data), 512):
            if data[place + 257 : place + 262] == b"ustar":
                data[place + 257 : place + 265] = bytes(8)
                data[place + 148 : place + 156] = b" " * 8
                data[place + 148 : place + 156] = b"%06o\0 " % sum(data[place : place + 512])
        (here / "photos.tar").write_bytes(data)
        assert problems("photos.tar") == {}

    @given(
        st.sampled_from(KINDS),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
        st.floats(0, 1),
    )
    def test_broken_bytes_are_files_or_one_message(
        self, kind: str, changes: list[tuple[float, int]], kept: float
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"photos{kind}")
            pack(path, {"고양이/1.png": IMAGE, "dog/" + "x" * 150: b"data"})
            data = bytearray(path.read_bytes())
            for place, byte in changes:
                data[int(place * len(data))] = byte
            path.write_bytes(data[: round(kept * len(data))])
            try:
                found = read(path)
            except (UserError, NoArchive) as error:
                assert "\n" not in str(error)
            else:
                assert all((file.data is None) == bool(file.problem) for file in found)
                assert all(file.path.encode() for file in found)


def test_the_embedded_digits_are_what_the_script_makes(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "workflow/scripts/digits.py"))
    script["write"](str(tmp_path / "data.zip"))
    assert (tmp_path / "data.zip").read_bytes() == (ROOT / "data/raw/digits.zip").read_bytes()
