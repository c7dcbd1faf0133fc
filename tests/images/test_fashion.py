"""The pictures of Fashion-MNIST, out of the files that are published."""

import gzip
import io
import runpy
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.common.errors import UserError
from images import ROOT, Capture, listing

SCRIPT = runpy.run_path(str(ROOT / "workflow/scripts/fashion.py"))
CLASSES = SCRIPT["CLASSES"]
COUNTS = {"train": 40, "t10k": 20}


def idx(values: np.ndarray) -> bytes:
    """A compressed IDX file."""
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return gzip.compress(head + values.tobytes())


def pixels(part: str) -> np.ndarray:
    """uint8 (n, 28, 28), all different."""
    count = COUNTS[part]
    return np.random.default_rng(count).integers(0, 256, (count, 28, 28)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "fashion"
    made.mkdir()
    for part, count in COUNTS.items():
        labels = (np.arange(count) * 3 % 10).astype(np.uint8)
        (made / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(pixels(part)))
        (made / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    return made


def test_every_picture_lies_in_its_part_and_class(folder: Path) -> None:
    path = folder.parent / "fashion.zip"
    assert SCRIPT["write"](folder, path) == 60
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        for part, called in {"train": "train", "t10k": "test"}.items():
            for number, image in enumerate(pixels(part)):
                name = f"{called}/{CLASSES[number * 3 % 10]}/{number:05d}.png"
                with Image.open(io.BytesIO(archive.read(name))) as picture:
                    assert (picture.mode, picture.size) == ("L", (28, 28))
                    assert np.array_equal(np.asarray(picture), image)
                names.remove(name)
    assert not names
    before = path.read_bytes()
    SCRIPT["write"](folder, path)
    assert path.read_bytes() == before


def test_graft_reads_the_archive_as_it_is_divided(folder: Path, here: Path) -> None:
    SCRIPT["write"](folder, here / "photos.zip")
    rows = listing("photos.zip")
    assert len(rows) == 60
    assert {row["label"] for row in rows} == set(CLASSES)
    assert sum(row["part"] == "test" for row in rows) == 20


def cut(data: bytes) -> bytes:
    return data[:-20]


def shorter(data: bytes) -> bytes:
    return gzip.compress(gzip.decompress(data)[:-1])


def flat(value: int, count: int) -> Callable[[bytes], bytes]:
    return lambda data: idx(np.full(count, value, np.uint8))


@pytest.mark.parametrize(
    "name, change, message",
    [
        ("train-images-idx3", None, "one with the four files of Fashion-MNIST. Received: 'no "),
        ("t10k-labels-idx1", None, "one with the four files of Fashion-MNIST. Received: 'no "),
        ("train-images-idx3", cut, "a whole file packed by gzip. Received: "),
        ("train-labels-idx1", lambda data: b"<html>", "a whole file packed by gzip. Received: "),
        ("train-images-idx3", shorter, "40 × 28 × 28 bytes after its head, as it says"),
        ("t10k-labels-idx1", shorter, "20 bytes after its head, as it says. Received: 19"),
        ("t10k-images-idx3", flat(0, 20), "of bytes in 3 dimensions. Received: '00 00 08 01'"),
        ("t10k-labels-idx1", lambda data: gzip.compress(b"\0"), "in 1 dimensions. Received: '00'"),
        ("t10k-labels-idx1", flat(0, 19), "20 labels, one an image. Received: 19"),
        ("t10k-labels-idx1", flat(10, 20), "labels from 0 to 9. Received: 10"),
    ],
)
def test_files_that_cannot_be_used_are_named_and_leave_nothing(
    folder: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    path, archive = folder / f"{name}-ubyte.gz", folder.parent / "fashion.zip"
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError) as refused:
        SCRIPT["write"](folder, archive)
    assert message in str(refused.value) and name in str(refused.value)
    assert list(folder.parent.iterdir()) == [folder]


def test_the_command_ends_with_one_message(folder: Path, capsys: Capture) -> None:
    archive = folder.parent / "fashion.zip"
    SCRIPT["main"]([str(folder), str(archive)])
    assert capsys.readouterr().out == f"60 pictures in {archive}\n"
    for arguments in ([str(folder)], [str(folder.parent), str(archive)]):
        with pytest.raises(SystemExit) as ended:
            SCRIPT["main"](arguments)
        assert ended.value.code == 2
        errors = capsys.readouterr().err
        assert errors.startswith("fashion.py: error: ") and errors.count("\n") == 1
