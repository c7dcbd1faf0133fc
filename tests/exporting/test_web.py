"""`graft export --format web`: its square in Node, and its page in Chromium, beside graft's own."""

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graft.images.decoding import decode
from images import ROOT, call, encoded

PAGE = ROOT / "workflow/graft/exporting/templates/web"
# Width and height: as large as the square, smaller, larger, and so that blocks are averaged first;
# wide and high ones, since Pillow takes the directions in another order.
SIZES = [(32, 32), (9, 20), (57, 33), (31, 640), (44, 90), (333, 500), (801, 603)]
FITS = ("stretch", "crop", "pad")


def squares(folder: Path, pictures: dict[str, tuple[Image.Image, int, str, bool]]) -> list:
    """What the page makes of pictures by name, with side, fit and whether they are JPEGs.

    Each is uint8 (side, side, 3).
    """
    if shutil.which("node") is None:
        pytest.skip("there is no node: apt-get install nodejs npm")
    cases = []
    for name, (image, side, fit, is_jpeg) in pictures.items():
        (folder / name).write_bytes(image.convert("RGBA").tobytes())
        known = {"name": name, "width": image.width, "height": image.height, "side": side}
        cases.append(known | {"fit": fit, "background": [0, 128, 255], "isJpeg": is_jpeg})
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    ended = call("node", Path(__file__).with_name("squares.mjs"), PAGE / "page", folder)
    assert ended.returncode == 0, ended.stderr
    made = [np.fromfile(folder / f"{one['name']}.square", np.uint8) for one in cases]
    return [
        flat.reshape(one["side"], one["side"], 4)[..., :3]
        for flat, one in zip(made, cases, strict=True)
    ]


def test_the_square_is_pillows_to_the_byte(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    pictures, expected = {}, []
    for (width, height), side, fit in product(SIZES, (32, 45), FITS):
        image = Image.fromarray(draw.integers(0, 256, (height, width, 3), np.uint8))
        pictures[f"{width}-{height}-{side}-{fit}"] = image, side, fit, False
        expected.append(decode(encoded(image), side, fit, "#0080ff").pixels)
    found = squares(tmp_path, pictures)
    for name, own, other in zip(pictures, expected, found, strict=True):
        assert (own == other).all(), name
