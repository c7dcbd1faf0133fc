"""From a folder or archive of image files to rows and pixels."""

import io
import runpy
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graft import manifest, sources, tables, tensors
from graft.decoding import Undecodable, decode
from graft.errors import UserError
from images import ROOT, SIDE, change, check, classes, encoded, graft, picture, workspace, write

CLASSES = {"cat": 3, "dog": 3}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pack(path: Path, files: Mapping[str, bytes]) -> None:
    """Makes a .zip with the files by path, and entries for their folders as programs write them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted({name.rpartition("/")[0] for name in files if "/" in name}):
            archive.mkdir(folder)
        for name, data in files.items():
            archive.writestr(name, data)


def listing() -> list[dict[str, str]]:
    """Runs manifest and returns its rows."""
    manifest.main(["--shards", "4"])
    return tables.read(Path("data/manifest.csv")).to_dict("records")


class TestManifest:
    """Which files are listed, and as what."""

    def test_a_row_says_what_a_file_is(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        rows = listing()
        assert [row["path"] for row in rows] == [
            f"{label}/{n}.png" for label in CLASSES for n in range(3)
        ]
        assert list(rows[0]) == ["id", "path", "label", "group", "part", "shard"]
        for row in rows:
            data = (here / "photos" / row["path"]).read_bytes()
            assert row["id"] == sources.identity(io.BytesIO(data))
            assert row["shard"] == str(int(row["id"], 16) % 4)
            assert (row["label"], row["group"], row["part"]) == (row["path"][:3], "", "")

    def test_an_id_is_known_for_ever(self) -> None:
        # Splits and stored features depend on it.
        assert sources.identity(io.BytesIO(b"graft")) == "4227bc05e5aca479ac8755a56b782119"

    def test_an_archive_is_listed_like_its_folder(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        pack(here / "photos.zip", classes(CLASSES))
        folder = listing()
        change(here, {"dataset.path": "photos.zip"})
        assert listing() == folder

    @pytest.mark.parametrize("wrap", ["photos/", "a/b/", "/"])
    def test_a_folder_around_the_classes_is_looked_through(self, here: Path, wrap: str) -> None:
        files = {wrap + name: data for name, data in classes(CLASSES).items()}
        pack(here / "photos.zip", {**files, f"{wrap}README.txt": b"about"})
        change(here, {"dataset.path": "photos.zip"})
        rows = listing()
        assert [(row["path"], row["label"]) for row in rows] == [(n, n[-9:-6]) for n in files]

    @pytest.mark.parametrize("wrap", ["", "archive/"])
    @pytest.mark.parametrize(
        "names", [("train", "validation", "test_set"), ("Training", "VAL", "Testing")]
    )
    def test_a_divided_data_set_keeps_its_parts(
        self, here: Path, wrap: str, names: tuple[str, str, str]
    ) -> None:
        files = {
            f"{wrap}{part}/{name}": data
            for index, part in enumerate(names)
            for name, data in classes(CLASSES, first=10 * index).items()
        }
        write(here / "photos", files)
        rows = {row["path"]: row for row in listing()}
        assert set(rows) == set(files)
        parts = dict(zip(names, ("train", "valid", "test"), strict=True))
        for path, row in rows.items():
            part, label, _ = path.removeprefix(wrap).split("/")
            assert (row["part"], row["label"]) == (parts[part], label)

    def test_classes_called_like_a_part_are_classes_beside_another(self, here: Path) -> None:
        write(here / "photos", classes({"train": 2, "bus": 2}))
        assert {(row["label"], row["part"]) for row in listing()} == {("train", ""), ("bus", "")}

    def test_hidden_files_and_those_beside_the_classes_are_left_alone(self, here: Path) -> None:
        files = classes(CLASSES)
        junk = ("cat/.DS_Store", ".git/HEAD", "__MACOSX/cat/._1.png", ".hidden/a.png", "LICENSE")
        write(here / "photos", files | dict.fromkeys(junk, b"junk"))
        assert {row["path"] for row in listing()} == set(files)

    def test_files_below_a_class_belong_to_it_however_deep(self, here: Path) -> None:
        files = {**classes(CLASSES), "cat/of/others/1.png": encoded(picture(50))}
        write(here / "photos", files)
        assert {row["path"]: row["label"] for row in listing()}["cat/of/others/1.png"] == "cat"

    def test_order_is_as_people_count(self, here: Path) -> None:
        names = ["2/a.png", "10/9.png", "10/10.png", "10/10b.png", "10/b.png", "b/1.png"]
        write(here / "photos", {name: name.encode() for name in reversed(names)})
        assert [row["path"] for row in listing()] == names

    @given(st.lists(st.text(max_size=8)))
    def test_every_order_is_total(self, names: list[str]) -> None:
        keys = {name: sources.natural(name) for name in names}
        assert len({str(key) for key in keys.values()}) == len(keys)
        sorted(names, key=sources.natural)

    def test_names_are_data(self, here: Path) -> None:
        labels = [
            "nan",
            "NA",
            "01",
            "a b",
            "a,b",
            'a "quoted" b',
            "it's",
            "고양이",
            "-rf",
            "#1",
            "%s",
        ]
        files = {f"{label}/{label}.png": label.encode() for label in labels}
        write(here / "photos", files)
        pack(here / "photos.zip", files)
        for path in ("photos", "photos.zip"):
            change(here, {"dataset.path": path})
            assert {row["path"]: row["label"] for row in listing()} == {
                f"{label}/{label}.png": label for label in labels
            }

    @pytest.mark.parametrize(
        "files",
        [{}, {"1.png": b""}, {".cat/1.png": b""}, {"train/1.png": b"", "test/1.png": b""}],
        ids=["empty", "no classes", "hidden", "no classes in parts"],
    )
    def test_nothing_to_learn_from_is_an_error(
        self, here: Path, files: Mapping[str, bytes]
    ) -> None:
        (here / "photos").mkdir()
        write(here / "photos", files)
        with pytest.raises(UserError, match=r"dataset\.path must be .*\. Received: 'photos'"):
            listing()
        assert not Path("data/manifest.csv").exists()

    def test_what_is_no_source_is_an_error(self, here: Path) -> None:
        for name, data in (("photos.zip", b"no zip"), ("photos.txt", b"text"), ("empty.zip", b"")):
            (here / name).write_bytes(data)
            change(here, {"dataset.path": name})
            with pytest.raises(UserError, match=rf"dataset\.path must be .* Received: '{name}"):
                listing()
        change(here, {"dataset.path": "nowhere"})
        with pytest.raises(UserError, match=r"dataset\.path must be .* Received: 'nowhere'"):
            listing()

    def test_a_damaged_archive_is_an_error_that_names_the_file(self, here: Path) -> None:
        files = {f"{label}/1.png": bytes(range(256)) for label in CLASSES}
        with zipfile.ZipFile(here / "photos.zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        whole = (here / "photos.zip").read_bytes()
        (here / "photos.zip").write_bytes(whole.replace(bytes(range(256)), bytes(256), 1))
        change(here, {"dataset.path": "photos.zip"})
        status, out, errors = graft(here, "manifest", "--shards", "4")
        assert (status, out) == (2, "")
        assert "'cat/1.png' in photos.zip cannot be read: Bad CRC" in errors.splitlines()[-1]
        assert not Path("data").exists()

    def test_an_encrypted_archive_is_an_error(self, here: Path) -> None:
        pack(here / "photos.zip", classes(CLASSES))
        data = (here / "photos.zip").read_bytes()
        # Bit 0 of the flags, in the headers before the files and in the directory at the end.
        for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            pieces = data.split(mark)
            at = offset - 4
            data = mark.join(
                [pieces[0], *(p[:at] + bytes([p[at] | 1]) + p[at + 1 :] for p in pieces[1:])]
            )
        (here / "photos.zip").write_bytes(data)
        change(here, {"dataset.path": "photos.zip"})
        with pytest.raises(
            UserError, match=r"cat/0\.png' in photos\.zip cannot be read: .*encrypted"
        ):
            listing()


def exif(orientation: int) -> Image.Exif:
    """EXIF data that says how the camera was held."""
    data = Image.Exif()
    data[0x0112] = orientation
    return data


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera held that way stores of a picture."""
    return {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels.swapaxes(0, 1)[::-1],
        7: pixels.swapaxes(0, 1)[::-1, ::-1],
        8: pixels.swapaxes(0, 1)[:, ::-1],
    }[orientation]


KNOWN = picture(1)
GREY = np.asarray(Image.fromarray(KNOWN).convert("L"))
LEVELS = (np.arange(SIDE * SIDE).reshape(SIDE, SIDE) * 64).astype(np.uint16)
HALF = np.dstack([KNOWN, np.full((SIDE, SIDE), 128, np.uint8)])
OVER_WHITE = np.round(KNOWN * (128 / 255) + 255 * (127 / 255)).astype(np.uint8)
PALETTE = Image.fromarray(KNOWN).quantize(32)
HOLES = PALETTE.copy()
HOLES.info["transparency"] = 0


def holed() -> np.ndarray:
    pixels = np.asarray(PALETTE.convert("RGB")).copy()
    pixels[np.asarray(HOLES) == 0] = 255
    return pixels


# Bytes, the pixels that they show, and by how many grey values the format may miss them.
READABLE = {
    "rgb.png": (encoded(KNOWN), KNOWN, 0),
    "no suffix": (encoded(KNOWN), KNOWN, 0),
    "png inside.jpg": (encoded(KNOWN), KNOWN, 0),
    "interlaced.bmp": (encoded(KNOWN, "BMP"), KNOWN, 0),
    "grey.png": (encoded(GREY), np.dstack([GREY] * 3), 0),
    "grey and alpha.png": (
        encoded(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (SIDE, SIDE), 255)])),
        np.dstack([GREY] * 3),
        0,
    ),
    "bits.png": (
        encoded(Image.fromarray(GREY > 127)),
        np.dstack([np.where(GREY > 127, 255, 0)] * 3),
        0,
    ),
    "16 bits.png": (encoded(LEVELS), np.dstack([LEVELS // 257] * 3), 0),
    "16 bits.tif": (encoded(LEVELS, "TIFF"), np.dstack([LEVELS // 257] * 3), 0),
    "alpha.png": (encoded(HALF), OVER_WHITE, 1),
    "palette.png": (encoded(PALETTE), np.asarray(PALETTE.convert("RGB")), 0),
    "palette with holes.png": (encoded(HOLES, transparency=0), holed(), 0),
    "palette.gif": (encoded(PALETTE, "GIF"), np.asarray(PALETTE.convert("RGB")), 0),
    "two frames.gif": (
        encoded(PALETTE, "GIF", save_all=True, append_images=[Image.new("P", (SIDE, SIDE))]),
        np.asarray(PALETTE.convert("RGB")),
        0,
    ),
    "rgb.tif": (encoded(KNOWN, "TIFF", compression="tiff_lzw"), KNOWN, 0),
    "lossless.webp": (encoded(KNOWN, "WEBP", lossless=True), KNOWN, 0),
    "rgb.jpg": (encoded(KNOWN, "JPEG", quality=98, subsampling=0), KNOWN, 4),
    "progressive.jpg": (
        encoded(KNOWN, "JPEG", quality=98, subsampling=0, progressive=True),
        KNOWN,
        4,
    ),
    "grey.jpg": (encoded(GREY, "JPEG", quality=98), np.dstack([GREY] * 3), 4),
    "cmyk.jpg": (
        encoded(Image.fromarray(KNOWN).convert("CMYK"), "JPEG", quality=98, subsampling=0),
        KNOWN,
        6,
    ),
    **{
        f"held in way {way}.jpg": (
            encoded(
                np.ascontiguousarray(turned(KNOWN, way)),
                "JPEG",
                quality=98,
                subsampling=0,
                exif=exif(way),
            ),
            KNOWN,
            4,
        )
        for way in range(1, 9)
    },
}
PNG, JPEG = encoded(KNOWN), encoded(picture(2, 64, 64), "JPEG", quality=95)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# 60,000 × 60,000 pixels of one colour are some kilobytes of PNG.
BOMB = (
    PNG[:8]
    + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    + png_chunk(b"IEND", b"")
)
UNREADABLE = {
    "empty.jpg": (b"", "zero bytes"),
    "half.jpg": (JPEG[: len(JPEG) // 2], "truncated"),
    "half.png": (PNG[: len(PNG) // 2], "truncated"),
    "half.bmp": (encoded(KNOWN, "BMP")[:1000], "truncated"),
    "half.gif": (encoded(PALETTE, "GIF")[:300], "truncated"),
    "text.jpg": (b"this is text\n" * 20, "not an image"),
    "page.jpg": (b"<!DOCTYPE html><html><body>404</body></html>", "not an image"),
    "start.png": (PNG[:8], "not an image"),
    "start.jpg": (JPEG[:2], "not an image"),
    "zeros.jpg": (bytes(1000), "not an image"),
    "movie.jpg": (b"\0\0\0\x18ftypmp42" + bytes(500), "not an image"),
    "bomb.png": (BOMB, "decompression bomb"),
    "wrong sum.png": (PNG.replace(b"IDAT", b"IDAT\xff", 1), "unreadable: "),
}


class TestTensors:
    """What becomes of the bytes of a file."""

    def test_good_files_show_the_known_picture_and_bad_ones_have_a_reason(self, here: Path) -> None:
        write(here / "photos/good", {name: data for name, (data, _, _) in READABLE.items()})
        write(here / "photos/bad", {name: data for name, (data, _) in UNREADABLE.items()})
        rows = check()
        assert len(rows) == len(READABLE) + len(UNREADABLE)
        for name, (_, pixels, tolerance) in READABLE.items():
            row = rows[f"good/{name}"]
            assert (row["status"], row["reason"]) == ("ok", ""), name
            gap = np.abs(row["pixels"].astype(int) - pixels.astype(int)).max()
            assert gap <= tolerance, (name, gap)
            assert row["pixels"].dtype == np.uint8
            assert (row["width"], row["height"]) == (str(SIDE), str(SIDE))
        for name, (_, reason) in UNREADABLE.items():
            row = rows[f"bad/{name}"]
            assert row["status"] == "quarantined", name
            assert row["reason"].startswith(reason), (name, row["reason"])
            assert row["reason"] != "unreadable: "
            assert (row["width"], row["height"], row["phash"]) == ("0", "0", "")

    def test_a_shard_has_its_images_in_order_of_the_manifest(self, here: Path) -> None:
        write(here / "photos", classes({"cat": 9, "dog": 9}))
        rows = check()
        listed = tables.read(Path("data/manifest.csv"))
        for shard in "0123":
            table = tables.read(Path(f"data/tensors/{shard}.csv"))
            assert list(table) == ["id", "status", "reason", "width", "height", "phash"]
            assert list(table["id"]) == list(listed["id"][listed["shard"] == shard])
            assert np.load(f"data/tensors/{shard}.npy").shape == (len(table), SIDE, SIDE, 3)
        for index, label in enumerate(("cat", "dog")):
            for number in range(9):
                own = rows[f"{label}/{number}.png"]["pixels"]
                assert (own == picture(1000 * index + number)).all()

    def test_folder_and_archive_give_the_same_bytes(self, here: Path) -> None:
        files = {f"bad/{name}": data for name, (data, _) in UNREADABLE.items()} | classes(CLASSES)
        write(here / "photos", files)
        pack(here / "photos.zip", files)
        check()
        shards = sorted(Path("data/tensors").iterdir())
        first = {path: path.read_bytes() for path in shards}
        assert [path.name for path in shards] == [
            f"{n}.{end}" for n in "0123" for end in ("csv", "npy")
        ]
        change(here, {"dataset.path": "photos.zip"})
        check()
        assert {path: path.read_bytes() for path in Path("data/tensors").iterdir()} == first

    def test_equal_files_are_decoded_once(self, here: Path) -> None:
        data = encoded(picture(3))
        write(here / "photos", {"cat/1.png": data, "cat/copy.png": data, "dog/copy.png": data})
        assert len(check()) == 3
        tables_ = [tables.read(Path(f"data/tensors/{shard}.csv")) for shard in "0123"]
        assert [len(table) for table in tables_].count(1) == 1
        assert sum(len(table) for table in tables_) == 1

    def test_a_shard_may_be_empty_or_all_bad(self, here: Path) -> None:
        write(here / "photos", {"cat/1.png": encoded(KNOWN), "dog/1.png": b""})
        check()
        lengths = [np.load(f"data/tensors/{shard}.npy").shape for shard in "0123"]
        assert sorted(lengths) == [(0, SIDE, SIDE, 3)] * 3 + [(1, SIDE, SIDE, 3)]

    def test_the_side_is_that_of_the_parameters(self, here: Path) -> None:
        write(here / "photos", classes(CLASSES))
        change(here, {"image.side": 48})
        assert all(row["pixels"].shape == (48, 48, 3) for row in check().values())

    @pytest.mark.parametrize("how", ["changed", "removed"])
    @pytest.mark.parametrize("kind", ["folder", "archive"])
    def test_a_file_that_is_not_the_listed_one_is_noticed(
        self, here: Path, how: str, kind: str
    ) -> None:
        files = classes(CLASSES)
        other = files | {"dog/1.png": encoded(picture(77))}
        if how == "removed":
            del other["dog/1.png"]
        if kind == "folder":
            write(here / "photos", files)
        else:
            change(here, {"dataset.path": "photos.zip"})
            pack(here / "photos.zip", files)
        rows = {row["path"]: row for row in listing()}
        if kind == "archive":
            pack(here / "photos.zip", other)
        elif how == "changed":
            write(here / "photos", other)
        else:
            (here / "photos/dog/1.png").unlink()
        shard = rows["dog/1.png"]["shard"]
        told = "has changed since" if how == "changed" else "cannot be read any more"
        with pytest.raises(UserError, match=rf"'dog/1\.png' {told}.* Run the manifest again"):
            tensors.main([shard])
        assert not list(Path("data/tensors").iterdir())

    def test_an_error_leaves_nothing_behind_and_ends_with_2(self, here: Path) -> None:
        write(here / "photos", classes({"cat": 1, "dog": 1}))
        shard = listing()[0]["shard"]
        write(here / "photos", {"cat/0.png": b"other"})
        status, out, errors = graft(here, "tensors", shard)
        assert (status, out) == (2, "")
        assert errors.splitlines()[-1].startswith("graft tensors: error: 'cat/0.png' has changed")
        assert not list(Path("data/tensors").iterdir())


class TestDecode:
    """The decoder alone, on what takes many cases."""

    @given(
        st.integers(1, 300),
        st.integers(1, 300),
        st.sampled_from([8, 32]),
        st.sampled_from(["JPEG", "PNG"]),
        st.integers(1, 8),
    )
    def test_any_size_becomes_a_square_and_is_told_as_shown(
        self, width: int, height: int, side: int, form: str, way: int
    ) -> None:
        stored = np.ascontiguousarray(turned(picture(4, height, width), way))
        image = decode(encoded(stored, form, exif=exif(way)), side)
        assert image.pixels.shape == (side, side, 3)
        assert (image.width, image.height) == (width, height)
        assert len(image.phash) == 16

    def test_a_large_photo_is_resized_like_a_small_one(self) -> None:
        large = picture(5, 1200, 800)
        small = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BICUBIC))
        for data in (encoded(large), encoded(large, "JPEG", quality=95)):
            image = decode(data, 64)
            assert np.abs(image.pixels.astype(int) - small.astype(int)).max() <= 4
            assert (image.width, image.height) == (800, 1200)

    def test_the_perceptual_hash_survives_what_changes_no_picture(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
        shown = Image.fromarray(noise).resize((200, 200), Image.Resampling.BICUBIC)
        other = Image.fromarray(noise[::-1]).resize((200, 200), Image.Resampling.BICUBIC)
        hashes = [
            imagehash.hex_to_hash(decode(data, 32).phash)
            for data in (
                encoded(shown),
                encoded(shown, "JPEG", quality=60),
                encoded(shown.resize((120, 120))),
                encoded(other),
            )
        ]
        assert max(hashes[0] - near for near in hashes[1:3]) <= 6
        assert hashes[0] - hashes[3] > 12

    @given(
        st.sampled_from([data for data, _, _ in READABLE.values()]),
        st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
        st.floats(0, 1),
    )
    def test_broken_bytes_are_an_image_or_have_a_reason(
        self, data: bytes, changes: list[tuple[float, int]], kept: float
    ) -> None:
        broken = bytearray(data)
        for place, byte in changes:
            broken[int(place * len(broken))] = byte
        broken = broken[: max(1, round(kept * len(broken)))]
        try:
            image = decode(bytes(broken), 16)
        except Undecodable as error:
            assert str(error) in ("truncated", "not an image", "decompression bomb") or str(
                error
            ).startswith("unreadable: ")
            assert "\n" not in str(error) and " at 0x" not in str(error)
        else:
            assert image.pixels.shape == (16, 16, 3)


def test_the_embedded_digits_are_what_the_script_makes(tmp_path: Path) -> None:
    script = runpy.run_path(str(ROOT / "workflow/scripts/digits.py"))
    script["write"](str(tmp_path / "digits.zip"))
    made = (tmp_path / "digits.zip").read_bytes()
    assert made == (ROOT / "data/raw/digits.zip").read_bytes()
