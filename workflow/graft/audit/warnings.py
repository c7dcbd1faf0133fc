"""Gather what a person should know, and say where images and network do not suit each other."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from graft.common.arrays import Chosen, Joined, Stored, in_batches
from graft.common.cautions import Caution, read_warnings, write_warnings
from graft.common.classes import PARTS
from graft.common.numbers import say_percent
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables
from graft.judging.accuracy import wilson_interval
from graft.network.catalogue import NETWORKS, OWN

# From a threefold shrinking on, what tells classes apart is often gone. Enlarging adds nothing, and
# twofold is what photos of an odd size undergo anyway.
_SHRUNK, _ENLARGED = 3.0, 2.0
_FEW_LEARNED, _FEW_TESTED = 10, 30  # images of a class, and units
_NAMED = 3  # classes that a sentence names
_KEEP_UNTRAINED = ("none", 0)
_SAMPLE = 800  # images that are looked at for colour


def main(stage: Stage) -> None:
    """Writes `warnings.json`: the warnings of earlier stages, then those of the images as a whole.

    They are a list of text and command. Those of earlier stages have been printed already.
    """
    earlier = [
        caution
        for name in ("manifest", "split")
        for caution in read_warnings(stage.input(f"data/warnings/{name}.json"))
    ]
    own = write_warnings(stage, "reports/warnings.json", _judge(stage), after=earlier)
    print(f"warnings: {len(earlier) + len(own)}")


def _judge(stage: Stage) -> Iterator[Caution]:
    split = read_table(stage.input("data/split.csv"), ["id", "label", "part"])
    used = split[split["part"].isin(PARTS)].drop_duplicates(["id", "label"])
    sizes = read_tables(stage.inputs("data/checked"), ["id", "width", "height"]).set_index("id")
    sizes = sizes.loc[used["id"]].astype(np.float64)
    units = read_table(stage.input("data/units.csv")).set_index("id")["unit"]
    yield from find_unsuited_sizes(sizes["width"], sizes["height"], stage)
    if _are_grey(stage):
        yield from find_grey(stage)
    learned = used[used["part"] == "train"]["label"].value_counts()
    tested = units.loc[used["id"][used["part"] == "test"]].nunique()
    yield from find_few(learned.reindex(pd.unique(used["label"]), fill_value=0), tested)


def _are_grey(stage: Stage) -> bool:
    """Whether nine in ten images have no colour, in a sample that their ids draw."""
    checked = read_tables(stage.inputs("data/checked"), ["id", "status"])
    ids = checked["id"][checked["status"] == "ok"].to_numpy()
    pixels = Joined([Stored(path) for path in stage.inputs("data/tensors")])
    sample = Chosen(pixels, np.sort(np.argsort(ids)[:_SAMPLE]))
    grey = [(images == images[..., :1]).all((1, 2, 3)) for images in in_batches(sample)]
    return bool(np.concatenate(grey).mean() >= 0.9)


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
    kept = {
        "crop": np.minimum(width, height),
        "pad": np.maximum(width, height),
        "stretch": np.sqrt(width * height),
    }[parameters["image.fit"]]
    middle = float(np.median(kept))
    own = 0 if name in OWN else NETWORKS[name].imagenet
    images = shlex.quote(parameters["dataset.path"])
    if middle / side >= _SHRUNK and (not own or side < own):
        text = (
            f"half of the images are shrunk {middle / side:.0f}-fold or more, from {middle:,.0f}"
            f" pixels to image.side {side}, and details are lost"
        )
        if own:
            yield Caution(f"{text}; {name} learned at {own}", _change("image.side", own))
        else:
            text += f"; {name} is a network for small pictures, and there are some for photos"
            yield Caution(text, f"uv run graft use photos --images {images}")
    elif side / middle >= _ENLARGED and own and middle <= 64:
        # Measured: MobileNetV2 at 96 pixels and the small network at 32, fine-tuned. The digits of
        # the main job: 94.1 and 99.6 %. CIFAR-10, 200 pictures of each class: 73.8 (74.2 at 160
        # pixels) and 75.6 %, but the small network has learned from CIFAR-10's other pictures; with
        # weights that are drawn it reaches 38.7 %. So what is unlike photos gains much, and small
        # photos lose time alone.
        yield Caution(
            f"half of the images are enlarged {side / middle:.0f}-fold or more, from"
            f" {middle:,.0f} pixels to image.side {side}, and {name} learned from photos; a small"
            " network for small pictures is faster, and better on some: try it, and compare",
            f"uv run graft use digits --images {images}",
        )


def find_grey(parameters: Mapping[str, Any]) -> Iterator[Caution]:
    """Warns where images without colour meet features of photos that are kept as they are.

    Args:
        parameters: by dotted key, `backbone.name`, `backbone.weights` and `finetune.unfreeze`.
    """
    name, weights = parameters["backbone.name"], parameters["backbone.weights"]
    if name not in OWN and weights != "none" and parameters["finetune.unfreeze"] in _KEEP_UNTRAINED:
        yield Caution(
            f"the images are grey, and {name} learned from photos in colour: features of another"
            " layer may suit them better",
            _change("finetune.unfreeze", "auto"),
        )


def find_few(learned: pd.Series, tested: int) -> Iterator[Caution]:
    """Warns where there are too few images to learn from, or to measure with.

    Args:
        learned: images in the training part by class.
        tested: units in the test part: images that belong together count once.
    """
    few = learned[learned < _FEW_LEARNED].sort_values(kind="stable")
    if len(few):
        named = ", ".join(f"{label!r} has {count}" for label, count in few.head(_NAMED).items())
        more = f" and {len(few) - _NAMED} more classes" if len(few) > _NAMED else ""
        yield Caution(
            f"few images to learn from: class {named}{more}. From {_FEW_LEARNED} a class on a"
            " result begins to mean something; 50 or more are better"
        )
    if 0 < tested < _FEW_TESTED:
        low, _ = wilson_interval(tested, tested)
        yield Caution(
            f"the test part has {tested} images that do not belong together: even if all were"
            f" right, the accuracy might be as low as {say_percent(low, 0)}. Add images, and trust"
            " the cross-validated accuracy more"
        )


def _change(key: str, value: Any) -> str:
    return f"uv run dvc exp run -S {key}={value}"
