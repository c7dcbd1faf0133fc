"""Gather what a person should know, and say where images and network do not suit each other."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from graft.audit.phrases import phrase
from graft.common.arrays import Chosen, Joined, Stored, in_batches
from graft.common.cautions import Caution, read_warnings, write_warnings
from graft.common.classes import PARTS
from graft.common.numbers import say_percent
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables
from graft.network.catalogue import NETWORKS, OWN
from graft.statistics.accuracy import wilson_interval

# From a threefold shrinking on, what tells classes apart is often gone. Enlarging adds nothing, and
# twofold is what photos of an odd size undergo anyway.
_SHRUNK, _ENLARGED = 3.0, 2.0
_FEW_TESTED = 30  # units
_KEEP_UNTRAINED = ("none", 0)
_SAMPLE = 800  # images that are looked at
_PIXELS, _MOSTLY = (1, 2, 3), 0.9
# An image is dim if its values differ by less, of 256: no photo of flowers, hand sign, digit or
# picture of CIFAR-10 does (800 or more of each). Of 14 bits in 16, a quarter of the values is left.
_DIM, _OFTEN = 64, 0.1
_BITS = (10, 12, 14)  # that instruments have, stored in 16


def main(stage: Stage) -> None:
    """Writes `warnings.json`: the warnings of earlier stages, then those of the images as a whole.

    They are a list of text and command. Those of earlier stages have been printed already.
    """
    files = [
        stage.input(f"data/warnings/{name}.json") for name in ("manifest", "duplicates", "split")
    ]
    earlier = [caution for file in files for caution in read_warnings(file)]
    own = write_warnings(stage, "reports/warnings.json", _judge(stage), after=earlier)
    print(f"warnings: {len(earlier) + len(own)}")


def _judge(stage: Stage) -> Iterator[Caution]:
    split = read_table(stage.input("data/split.csv"), ["id", "path", "label", "part"])
    used = split[split["part"].isin(PARTS)].drop_duplicates(["id", "label"])
    sizes = read_tables(stage.inputs("data/checked"), ["id", "width", "height"]).set_index("id")
    sizes = sizes.loc[used["id"]].astype(np.float64)
    units = read_table(stage.input("data/units.csv")).set_index("id")["unit"]
    yield from find_unsuited_sizes(sizes["width"], sizes["height"], stage)
    sample = _look(stage)
    sample["path"] = sample["id"].map(split.drop_duplicates("id").set_index("id")["path"])
    yield from find_dim(sample, stage)
    if sample["grey"].mean() >= _MOSTLY:
        yield from find_grey(stage)
    yield from find_few(units.loc[used["id"][used["part"] == "test"]].nunique())


def _look(stage: Stage) -> pd.DataFrame:
    """A sample that ids draw, a row an image: id, grey (1 or 0), lowest and highest value."""
    checked = read_tables(stage.inputs("data/checked"), ["id", "status"])
    ids = checked["id"][checked["status"] == "ok"].to_numpy()
    pixels = Joined([Stored(path) for path in stage.inputs("data/tensors")])
    rows = np.sort(np.argsort(ids)[:_SAMPLE])
    seen = [
        np.stack([(some == some[..., :1]).all(_PIXELS), some.min(_PIXELS), some.max(_PIXELS)])
        for some in in_batches(Chosen(pixels, rows))
    ]
    grey, lowest, highest = np.concatenate(seen, 1).astype(int)
    found = {"id": ids[rows], "grey": grey, "lowest": lowest, "highest": highest}
    return pd.DataFrame(found)


def find_unsuited_sizes(
    width: pd.Series, height: pd.Series, parameters: Mapping[str, Any]
) -> Iterator[Caution]:
    """Warns where half of the images are shrunk or enlarged by much, though they need not be.

    A photo of 4,000 pixels is shrunk for every network; that is no mistake at the side that the
    network was pretrained at.

    Args:
        width, height: of the images as they came, in pixels.
        parameters: by dotted key, `dataset.path`, `image.side`, `image.fit` and `backbone.name`.
    """
    side, name = parameters["image.side"], parameters["backbone.name"]
    kept = {"crop": np.minimum, "pad": np.maximum, "stretch": lambda w, h: np.sqrt(w * h)}
    middle = float(np.median(kept[parameters["image.fit"]](width, height)))
    own = NETWORKS[name].imagenet if name in NETWORKS else 0
    known = {"middle": middle, "side": side, "name": name, "own": own}
    images = shlex.quote(parameters["dataset.path"])
    if middle / side >= _SHRUNK and (not own or side < own):
        photos = f"uv run graft use photos --images {images}"
        yield Caution(phrase("shrunk", **known), _change("image.side", own) if own else photos)
    elif side / middle >= _ENLARGED and own and middle <= 64:
        # Measured: MobileNetV2 at 96 pixels and the small network at 32, fine-tuned. The digits of
        # the main job: 94.1 and 99.6 %. CIFAR-10, 200 pictures of each class: 73.8 (74.2 at 160
        # pixels) and 75.6 %, but the small network has learned from CIFAR-10's other pictures; with
        # weights that are drawn it reaches 38.7 %. So what is unlike photos gains much, and small
        # photos lose time alone.
        yield Caution(phrase("enlarged", **known), f"uv run graft use digits --images {images}")


def find_dim(sample: pd.DataFrame, parameters: Mapping[str, Any]) -> Iterator[Caution]:
    """Warns where a tenth of the images or more are dark or flat, as by a wrong range of values.

    Args:
        sample: a row an image, with str path, and int lowest and highest, 0–255.
        parameters: by dotted key, `image.white_level`.
    """
    dim = sample[sample["highest"] - sample["lowest"] < _DIM]
    if len(dim) and len(dim) >= _OFTEN * len(sample):
        top, command = dim["highest"].quantile(0.9), ""
        dark = top < 1.25 * _DIM  # resizing goes beyond the highest value
        if dark and parameters["image.white_level"] == "auto":
            bits = next((bits for bits in _BITS if top < 1.25 * 2 ** (bits - 8)), _BITS[-1])
            command = _change("image.white_level", 2**bits - 1)
        first = dim.iloc[0].to_dict()
        yield Caution(phrase("dim", n=len(dim), of=len(sample), dark=dark, first=first), command)


def find_grey(parameters: Mapping[str, Any]) -> Iterator[Caution]:
    """Warns where images without colour meet features of photos that are kept as they are.

    Args:
        parameters: by dotted key, `backbone.name`, `backbone.weights` and `finetune.unfreeze`.
    """
    name, weights = parameters["backbone.name"], parameters["backbone.weights"]
    if name not in OWN and weights != "none" and parameters["finetune.unfreeze"] in _KEEP_UNTRAINED:
        yield Caution(phrase("grey", name=name), _change("finetune.unfreeze", "auto"))


def find_few(tested: int) -> Iterator[Caution]:
    """Warns where there are too few images to measure with.

    Args:
        tested: units in the test part: images that belong together count once.
    """
    if 0 < tested < _FEW_TESTED:
        lowest = say_percent(wilson_interval(tested, tested)[0], 0)
        yield Caution(phrase("few_tested", units=tested, lowest=lowest))


def _change(key: str, value: Any) -> str:
    return f"uv run dvc exp run -S {key}={value}"
