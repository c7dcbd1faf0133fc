"""What params.yaml may hold: every key, its type and its limits.

A field's description is what an error message says after "must be", and is written so.
Numbers are strict (`"0.5"` and `true` are not numbers) and there are no defaults: params.yaml
names everything that the result depends on.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from graft.networks import NETWORKS
from graft.parts import PARTS

Share = Annotated[float, Field(gt=0, lt=1, description="a share above 0 and below 1")]
Fraction = Annotated[float, Field(ge=0, le=1, description="a fraction from 0 to 1")]
Strength = Annotated[float, Field(ge=0, lt=1, description="a fraction from 0 to below 1")]
Rate = Annotated[float, Field(gt=0, le=10, description="a number above 0, at most 10")]
Count = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
ClassWeight = Annotated[Literal["none", "balanced"], Field(description="one of none, balanced")]
Seed = Annotated[int, Field(ge=0, lt=2**31, description="a whole number from 0 to 2147483647")]
SOURCE = (
    "a folder of class folders, an archive of one (.zip, .tar, .tar.gz, .tar.xz), or a CSV with the"
    " columns path and label"
)


def _differ(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    return names


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return pattern


class Section(BaseModel):
    """Settings of one stage; unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Dataset(Section):
    """Where the images come from."""

    path: Annotated[str, Field(min_length=1, description=SOURCE)]
    classes: Annotated[
        Annotated[
            list[Annotated[str, Field(min_length=1)]], Field(min_length=2), AfterValidator(_differ)
        ]
        | Literal["all"],
        Field(description="all, or a list of two or more different names, in quotes where needed"),
    ]
    per_class: Annotated[
        Annotated[int, Field(strict=True, ge=len(PARTS), le=1_000_000_000)] | Literal["all"],
        Field(description=f"all, or a whole number from {len(PARTS)}"),
    ]
    group: Annotated[
        str,
        Field(min_length=1, description="auto, none, a regular expression, or a column of the CSV"),
        AfterValidator(_compiles),
    ]
    two_labels: Annotated[Literal["leave_out", "keep"], Field(description="one of leave_out, keep")]
    max_bad: Fraction


class Image(Section):
    """What every image becomes."""

    side: Annotated[
        int, Field(ge=8, le=1024, description="a whole number of pixels from 8 to 1024")
    ]
    fit: Annotated[
        Literal["stretch", "crop", "pad"], Field(description="one of stretch, crop, pad")
    ]


class Duplicates(Section):
    """What counts as the same picture."""

    difference: Fraction


class Split(Section):
    """The shares of the parts; they sum to 1."""

    train: Share
    valid: Share
    test: Share
    seed: Seed


class Backbone(Section):
    """The network whose features are used."""

    name: Annotated[
        Literal[tuple(NETWORKS)],  # type: ignore[valid-type]
        Field(description=f"one of {', '.join(NETWORKS)}"),
    ]
    weights: Annotated[
        str,
        Field(
            pattern=r"^(none|imagenet|data/pretrained/[^/\\]+\.h5)$",
            description="none, imagenet, or a file data/pretrained/*.h5",
        ),
    ]
    pooling: Annotated[
        Literal["avg", "max", "flatten"], Field(description="one of avg, max, flatten")
    ]
    seed: Seed


class Features(Section):
    """How the features are computed."""

    runtime: Annotated[
        Literal["openvino", "tensorflow"], Field(description="one of openvino, tensorflow")
    ]


class Head(Section):
    """The head over the features, and its training."""

    hidden: Annotated[
        list[Annotated[int, Field(ge=1, le=65536)]],
        Field(max_length=8, description="a list of at most 8 layer widths from 1 to 65536"),
    ]
    dropout: Strength
    learning_rate: Rate
    batch: Count
    epochs: Count
    patience: Count
    class_weight: ClassWeight
    seed: Seed


class Finetune(Section):
    """The training of the network and its head together."""

    unfreeze: Annotated[
        Annotated[int, Field(strict=True, ge=0)] | Literal["none", "all"],
        Field(description="none, all, or a number of layers counted from the top"),
    ]
    learning_rate: Rate
    head_learning_rate: Rate
    warmup: Annotated[int, Field(ge=0, le=1_000_000, description="a whole number of epochs from 0")]
    weight_decay: Fraction
    batch: Count
    epochs: Count
    patience: Count
    class_weight: ClassWeight
    seed: Seed


class Augment(Section):
    """Random changes to training images while fine-tuning; 0 and none switch one off."""

    flip: Annotated[
        Literal["none", "horizontal", "vertical", "horizontal_and_vertical"],
        Field(description="one of none, horizontal, vertical, horizontal_and_vertical"),
    ]
    rotation: Annotated[float, Field(ge=0, le=180, description="degrees from 0 to 180")]
    shift: Strength
    zoom: Strength
    brightness: Strength
    contrast: Strength


class Report(Section):
    """How the report is drawn."""

    smoothing: Strength


class Parameters(Section):
    """The whole of params.yaml."""

    dataset: Dataset
    image: Image
    duplicates: Duplicates
    split: Split
    backbone: Backbone
    features: Features
    head: Head
    finetune: Finetune
    augment: Augment
    report: Report


def is_file(weights: str) -> bool:
    """Whether `backbone.weights` names a file."""
    return Path(weights).suffix == ".h5"
