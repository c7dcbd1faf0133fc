"""Makes an archive of pictures of Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747).

    uv run python workflow/scripts/fashion.py data/raw/fashion/data/fashion data/raw/fashion.zip

The folder holds the four files that are published: `train-images-idx3-ubyte.gz`,
`train-labels-idx1-ubyte.gz` and the same of `t10k`. The archive holds `train/<class>/<number>.png`
and `test/<class>/<number>.png`, 28 × 28 grey. Nothing in it depends on when or where it is made.
"""

import gzip
import io
import math
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from graft.common.atomic import whole
from graft.common.errors import UserError, refuse

# By label, as its authors call them, but for a slash in the first.
CLASSES = (
    *("T-shirt or top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
PARTS = {"train": "train", "t10k": "test"}  # what the files call them: what graft calls them
BYTES = 0x08  # what the format calls a byte without sign, the only kind of number read here


def read(path: Path, dimensions: int) -> np.ndarray:
    """The numbers of a compressed IDX file: 0, 0, kind, dimensions, each length, all values.

    Args:
        path: `*.gz`.
        dimensions: how many it must have, 3 for images and 1 for labels.

    Returns:
        uint8 of the shape that the file says.

    Raises:
        UserError: it is missing, is no such file, or does not hold what it says.
    """
    if not path.is_file():
        raise refuse("the folder", "one with the four files of Fashion-MNIST", f"no {path}")
    try:
        with gzip.open(path) as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise refuse(str(path), "a whole file packed by gzip", str(error)) from None
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes([0, 0, BYTES, dimensions]):
        allowed = f"an IDX file of bytes in {dimensions} dimensions"
        raise refuse(str(path), allowed, data[:4].hex(" "))
    shape = [int(length) for length in np.frombuffer(data, ">u4", dimensions, 4)]
    if len(data) != start + math.prod(shape):
        allowed = f"{' × '.join(map(str, shape))} bytes after its head, as it says"
        raise refuse(str(path), allowed, len(data) - start)
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def write(folder: Path, archive: Path) -> int:
    """Writes the archive, and returns how many pictures it holds.

    Raises:
        UserError: a file of the folder cannot be used; no archive is written.
    """
    count = 0
    with whole(archive) as (part,), zipfile.ZipFile(part, "w") as made:
        for name, called in PARTS.items():
            images = read(folder / f"{name}-images-idx3-ubyte.gz", 3)
            path = folder / f"{name}-labels-idx1-ubyte.gz"
            labels = read(path, 1)
            if len(labels) != len(images):
                raise refuse(str(path), f"{len(images)} labels, one an image", len(labels))
            if labels.size and labels.max() >= len(CLASSES):
                raise refuse(str(path), f"labels from 0 to {len(CLASSES) - 1}", int(labels.max()))
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                file = io.BytesIO()
                Image.fromarray(image).save(file, "PNG")
                inside = f"{called}/{CLASSES[label]}/{number:05d}.png"
                made.writestr(zipfile.ZipInfo(inside, (1980, 1, 1, 0, 0, 0)), file.getvalue())
            count += len(images)
    return count


def main(arguments: list[str]) -> None:
    """Runs the script; exit status 2 for an error that a user can mend."""
    try:
        if len(arguments) != 2:
            raise refuse("fashion.py", "given a folder and an archive", " ".join(arguments))
        print(f"{write(*map(Path, arguments))} pictures in {arguments[1]}")
    except UserError as error:
        print(f"fashion.py: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
