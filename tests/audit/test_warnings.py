"""When the run says that images and settings do not suit each other, and when it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from graft.audit.warnings import find_dim, find_few, find_grey, find_unsuited_sizes
from graft.common.cautions import Caution
from graft.common.tables import read_json
from images import Capture, change, check, encoded, picture, run, write

SMALL = {"backbone.name": "cnn", "backbone.weights": "data/pretrained/cnn-cifar10.weights.h5"}
PHOTOS = {"backbone.name": "MobileNetV2", "backbone.weights": "imagenet"}


def sizes(width: int, height: int, **parameters: Any) -> list[Caution]:
    """The warnings for images of one size, with parameters as keywords."""
    values = {"dataset.path": "my photos", "image.fit": "crop", **SMALL}
    values |= {key.replace("__", "."): value for key, value in parameters.items()}
    return list(find_unsuited_sizes(pd.Series([width] * 3), pd.Series([height] * 3), values))


def test_photos_in_a_network_for_small_pictures() -> None:
    (caution,) = sizes(500, 400, image__side=32)
    assert "shrunk 12-fold or more, from 400 pixels to image.side 32" in caution.text
    assert caution.command == "uv run graft use photos --images 'my photos'"


def test_photos_at_less_than_the_side_of_the_network() -> None:
    (caution,) = sizes(500, 400, image__side=96, backbone__name="MobileNetV2")
    assert "MobileNetV2 learned at 224" in caution.text
    assert caution.command == "uv run dvc exp run -S image.side=224"


def test_what_suits_is_not_warned_of() -> None:
    # As every camera makes them.
    assert not sizes(4000, 3000, image__side=224, backbone__name="MobileNetV2")
    for own, side in ((200, 96), (100, 224)):
        assert not sizes(own, own, image__side=side, backbone__name="MobileNetV2")
    for own in (90, 32):
        assert not sizes(own, own, image__side=32, backbone__name="cnn")


def test_what_counts_is_what_the_fit_keeps() -> None:
    strip = {"width": 300, "height": 60, "image__side": 32}
    assert not sizes(**strip, image__fit="crop")
    assert sizes(**strip, image__fit="pad") and sizes(**strip, image__fit="stretch")


def test_small_pictures_in_a_network_for_photos() -> None:
    (caution,) = sizes(28, 28, image__side=96, backbone__name="MobileNetV2")
    assert "enlarged 3-fold or more" in caution.text
    assert caution.command == "uv run graft use digits --images 'my photos'"


def test_grey_images_and_features_of_photos() -> None:
    frozen = PHOTOS | {"finetune.unfreeze": "none"}
    for values in (frozen, PHOTOS | {"finetune.unfreeze": 0}):
        (caution,) = find_grey(values)
        assert caution.command == "uv run dvc exp run -S finetune.unfreeze=auto"
    for changes in ({"finetune.unfreeze": "auto"}, {"backbone.weights": "none"}, SMALL):
        assert not list(find_grey(frozen | changes))


def dim(highest: list[int], lowest: int = 0, white_level: int | str = "auto") -> list[Caution]:
    """The warnings for images with these highest values."""
    seen = {"lowest": lowest, "highest": highest, "path": [f"a/{n}.png" for n in highest]}
    return list(find_dim(pd.DataFrame(seen), {"image.white_level": white_level}))


def test_dark_images() -> None:
    """A tenth of them is enough. The value that is proposed follows from how dark they are."""
    assert not dim([255] * 91 + [15] * 9) and not dim([64] * 100)
    (caution,) = dim([255] * 90 + [15] * 10)
    assert caution.text == (
        "10 of 100 images use less than a quarter of the range from black to white, such as"
        " 'a/15.png' (0 to 15 of 255): they are dark. If their files have 16 bits and use fewer, or"
        " values of another measure, say which value is white"
    )
    change = "uv run dvc exp run -S image.white_level="
    for highest, bits in ((0, 10), (3, 10), (4, 10), (15, 12), (17, 12), (50, 14), (63, 14)):
        (caution,) = dim([highest] * 9)
        assert caution.command == f"{change}{2**bits - 1}", highest
    (caution,) = dim([63] * 9, white_level=20000)
    assert "they are dark" in caution.text and not caution.command


def test_flat_images() -> None:
    for lowest, highest in ((200, 255), (100, 150), (255, 255)):
        (caution,) = dim([highest] * 3, lowest)
        assert f"({lowest} to {highest} of 255): they are flat" in caution.text
        assert not caution.command


def test_twelve_bits_in_sixteen_are_warned_of_until_white_is_said(here: Path) -> None:
    for number in range(24):
        values = np.repeat(picture(number, 40, 40)[..., 0].astype(np.uint16) * 16, 2, 1)
        values = values + 500 * (np.arange(80) // 8 == number // 3)
        write(here / "photos", {f"{'ab'[number % 2]}/{number}.png": encoded(values.astype("u2"))})

    def said() -> list[str]:
        check()
        for stage in ("duplicates", "split", "warnings"):
            run(stage)
        rows = read_json(Path("reports/warnings.json"))
        return [row["command"] for row in rows if "quarter of the range" in row["text"]]

    assert said() == ["uv run dvc exp run -S image.white_level=4095"]
    change(here, {"image.white_level": 4095})
    assert said() == []


def test_few_images() -> None:
    assert not list(find_few(30))
    (tested,) = find_few(12)
    # 1.959964² = 3.84: the Wilson interval of 12 of 12 begins at 12 / 15.84.
    assert "has 12 images" in tested.text and "as low as 76 %" in tested.text


def test_the_stage_gathers_all(here: Path, capsys: Capture) -> None:
    grey = np.repeat(picture(5, 200, 200)[..., :1], 3, 2)
    images = {
        f"{label}/{n}.png": encoded(np.roll(grey, 17 * n + 5 * k, 1) // (1 + k))
        for k, label in enumerate(("cat", "dog"))
        for n in range(4)
    }
    write(here / "photos", {**images, "loose.jpg": b""})
    change(here, {"finetune.unfreeze": "none", "duplicates.difference": 0.0, **PHOTOS})
    check()
    for stage in ("duplicates", "split", "warnings"):
        run(stage)
    rows = read_json(Path("reports/warnings.json"))
    assert [row["text"].partition(" ")[0] for row in rows] == ["1", "few", "half", "the", "the"]
    errors = capsys.readouterr().err.splitlines()
    for row in rows:
        assert any("warning: " in line and row["text"] in line for line in errors)
        assert not row["command"] or any(f"`{row['command']}`" in line for line in errors)
