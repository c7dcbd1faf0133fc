"""Copies that are found by what was done to them, pairs that are none, and the time.

    uv run python -m benchmarks.copies IMAGES [--side 64] [--fit stretch] [--count 1000]

IMAGES is a folder of photos, at any depth. Some of them are taken; of 150 of these, one changed
copy each is added, saved as a JPEG of quality 88. The search is that of the stage `duplicates`. A
row of the table is for one change: copies that are found as they are; those that are found with the
search for changed copies; pairs of that search that are no copy, and were not found without the
copies; and seconds of processor time, of the search for copies as they are and of that for changed
ones.
"""

import argparse
import io
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from graft.copies.duplicates import LAID
from graft.copies.similarity import find_near
from graft.images.decoding import Decoded, decode
from graft.registration.changes import find_changed
from graft.registration.middles import middle_extents

COPIED, QUALITY, LIMIT = 150, 88, 0.3
_BICUBIC = Image.Resampling.BICUBIC


def turn(degrees: float, image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Turned, the corners black."""
    return image.rotate(degrees, _BICUBIC)


def enlarge(zoom: float, image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """The middle, as large as the whole was."""
    width, height = image.size
    left, top = (width - width / zoom) / 2, (height - height / zoom) / 2
    return image.resize(image.size, _BICUBIC, (left, top, width - left, height - top))


def crop(share: float, image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """A piece from anywhere, as large as the whole was."""
    width, height = image.size
    left, top = draw.uniform(0, 1 - share, 2) * image.size
    return image.resize(
        image.size, _BICUBIC, (left, top, left + share * width, top + share * height)
    )


def do_all(image: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Mirrored or not, turned by any angle, and enlarged by 1 to 1.5."""
    image = ImageOps.mirror(image) if draw.random() < 0.5 else image
    return enlarge(draw.uniform(1, 1.5), turn(draw.uniform(-180, 180), image, draw), draw)


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "mirrored": lambda image, draw: ImageOps.mirror(image),
    "turned by 90°": lambda image, draw: image.transpose(Image.Transpose.ROTATE_90),
    "turned by 180°": partial(turn, 180),
    "turned by 5°": partial(turn, 5),
    "turned by 15°": partial(turn, 15),
    "turned by 45°": partial(turn, 45),
    "turned by 15°, the canvas enlarged": lambda image, draw: image.rotate(
        15, _BICUBIC, expand=True
    ),
    "enlarged by 10 %": partial(enlarge, 1.1),
    "enlarged by 25 %": partial(enlarge, 1.25),
    "enlarged by 50 %": partial(enlarge, 1.5),
    "all three, at random": do_all,
    "cropped anywhere to 90 %": partial(crop, 0.9),
    "brightness × 0.7": lambda image, draw: ImageEnhance.Brightness(image).enhance(0.7),
    "brightness × 1.3": lambda image, draw: ImageEnhance.Brightness(image).enhance(1.3),
}


def search(found: list[Decoded], fit: str) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The pairs without and with changes, and the seconds of both searches."""
    hashes = np.array([int(one.phash, 16) for one in found], np.uint64)
    pixels = np.stack([one.pixels for one in found])
    width, height = np.array([(one.width, one.height) for one in found], float).T
    start = time.process_time()
    sets, near, _ = find_near(hashes, pixels, LIMIT)
    middle = time.process_time()
    changed = find_changed(pixels, middle_extents(width, height, fit), sets, LAID * LIMIT)
    return near, changed.pairs, middle - start, time.process_time() - middle


def main() -> None:
    """Prints the table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.copies")
    parser.add_argument("images", type=Path)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--fit", choices=("stretch", "crop", "pad"), default="stretch")
    parser.add_argument("--count", type=int, default=1000)
    given = parser.parse_args()
    endings = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in given.images.rglob("*") if path.suffix.lower() in endings)
    chosen = np.random.default_rng(0).permutation(len(paths))[: given.count]
    photos = [decode(paths[number].read_bytes(), given.side, given.fit) for number in chosen]
    pairs = {tuple(pair) for some in search(photos, given.fit)[:2] for pair in some.tolist()}
    print(f"{len(photos):,} photos at {given.side} pixels; pairs without copies: {len(pairs)}\n")
    print("| change | found as they are | found now | no copies | seconds before, and more now |")
    print("|---|---|---|---|---|")
    for name, change in CHANGES.items():
        copies = []
        for number in chosen[:COPIED]:
            file = io.BytesIO()
            with Image.open(paths[number]) as photo:
                made = change(photo.convert("RGB"), np.random.default_rng(number))
            made.save(file, "JPEG", quality=QUALITY)
            copies.append(decode(file.getvalue(), given.side, given.fit))
        near, changed, before, more = search(photos + copies, given.fit)
        both = np.concatenate([near, changed])
        plain, every = ({tuple(pair) for pair in some.tolist()} for some in (near, both))
        true = {(number, len(photos) + number) for number in range(len(copies))}
        # What is a copy of one of two that are one is one of the other as well.
        twins = {number for pair in pairs for number in pair}
        more_pairs = every - plain - true - pairs
        others = {(i, j) for i, j in more_pairs if i not in twins}
        shares = [f"{len(some & true) / len(true):.0%}" for some in (plain, every)]
        print(
            f"| {name} | {' | '.join(shares).replace('%', ' %')} | {len(others)}"
            f" | {before:.2f} + {more:.2f} |"
        )


if __name__ == "__main__":
    main()
