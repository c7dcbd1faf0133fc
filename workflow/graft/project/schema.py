"""What params.yaml may hold: every key, its type and its limits.

A field's description is what an error message says after "must be", and is written so.
Numbers are strict (`"0.5"` and `true` are none), and nothing has a default: params.yaml names all.
"""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from graft.common.classes import PARTS
from graft.common.errors import UserError, nearest, refuse
from graft.images.files import SOURCE
from graft.integrity.ground import flatten
from graft.models.stacks import (
    IMAGE_KINDS,
    LONGEST_STACK,
    POOLINGS,
    VECTOR_KINDS,
    describe_forms,
    read_stack,
)
from graft.network.catalogue import NAMES, OWN
from graft.network.hub import HUB, HUB_NAMES
from graft.project.consistency import check_consistency


def _one_of(*names: str) -> Any:
    return Annotated[Literal[names], Field(description=f"one of {', '.join(names)}")]


def _whole(low: int, high: int, unit: str = "") -> Any:
    what = f"a whole number{unit and f' of {unit}'} from {low} to {high}"
    return Annotated[int, Field(ge=low, le=high, strict=True, description=what)]


Share = Annotated[float, Field(gt=0, lt=1, description="a share above 0 and below 1")]
Fraction = Annotated[float, Field(ge=0, le=1, description="a fraction from 0 to 1")]
Strength = Annotated[float, Field(ge=0, lt=1, description="a fraction from 0 to below 1")]
Rate = Annotated[float, Field(gt=0, le=10, description="a number above 0, at most 10")]
Count = _whole(1, 1_000_000)
Seed = _whole(0, 2**31 - 1)
Name = Annotated[str, Field(min_length=1, max_length=200)]
OPTIMIZERS = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax"),
    *("Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"),
)


def _differ(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name occurs twice")
    return names


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return pattern


def _stack(kinds: tuple[str, ...]) -> Any:
    def check(texts: list[str]) -> list[str]:
        read_stack(texts, kinds)
        return texts

    described = Field(max_length=LONGEST_STACK, description=describe_forms(kinds))
    return Annotated[list[Name], described, AfterValidator(check)]


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
    two_labels: _one_of("leave_out", "keep")
    max_bad: Fraction
    label: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=24)]
        | Annotated[str, Field(min_length=1), AfterValidator(_compiles)],
        Field(
            description="auto, folder, a level of folders from 1 to 24, a column of the CSV, or a"
            " regular expression"
        ),
    ]
    corrections: Annotated[
        str,
        Field(
            pattern=r"^[^/~][^\n]*\.csv$",
            description="a CSV in the project, such as data/corrections.csv",
        ),
    ]


class Image(Section):
    """What every image becomes."""

    side: _whole(8, 1024, "pixels")
    fit: _one_of("stretch", "crop", "pad")
    background: Annotated[
        str,
        Field(
            pattern=r"^(white|black|grey|#[0-9A-Fa-f]{6})$",
            description="white, black, grey, or a colour in quotes, such as '#ff8000'",
        ),
    ]
    white_level: Annotated[
        Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | Literal["auto"],
        Field(description=f"auto, or a whole number from 1 to {2**31 - 1}"),
    ]


class Duplicates(Section):
    """What counts as the same picture."""

    difference: Fraction


class Split(Section):
    """The shares of the parts, which sum to 1, and how they are held."""

    kind: _one_of("hash", "stratified")
    train: Share
    valid: Share
    test: Share
    seed: Seed


class Backbone(Section):
    """The network whose features are used."""

    # All 40 names would fill the screen; the nearest is in the message.
    name: Annotated[
        Literal[*NAMES, *HUB_NAMES] | Annotated[str, Field(pattern=rf"^{HUB}\w[\w.-]*$")],
        Field(
            description=f"{', '.join(OWN)}, a class of keras.applications, or a preset of KerasHub"
            f" ({HUB}NAME)"
        ),
    ]
    stack: _stack(IMAGE_KINDS)
    initializer: _one_of(
        *("glorot_normal", "glorot_uniform", "he_normal", "he_uniform"),
        *("lecun_normal", "lecun_uniform", "orthogonal"),
    )
    weights: Annotated[
        str,
        Field(
            pattern=r"^(none|imagenet|preset|data/pretrained/[^/\\]+\.(h5|keras))$",
            description="none, imagenet, preset, or a file data/pretrained/*.h5 or *.keras there",
        ),
    ]
    layer: Annotated[Name, Field(description="last, or the name of a layer")]
    pooling: _one_of(*POOLINGS)
    seed: Seed


class Features(Section):
    """How the features are computed."""

    runtime: _one_of("openvino", "tensorflow", "gpu")
    precision: _one_of("float32", "bfloat16")


class Training(Section):
    """How something is trained."""

    optimizer: _one_of(*OPTIMIZERS)
    learning_rate: Rate
    label_smoothing: Strength
    batch: Count
    epochs: Count
    monitor: _one_of("val_loss", "val_accuracy")
    stop_by: _one_of("monitor", "val_loss", "val_accuracy")
    patience: Count
    class_weight: _one_of("none", "balanced")
    repeats: _whole(1, 100, "seeds")
    seed: Seed


class Head(Training):
    """The head over the features, and its training."""

    kind: _one_of("dense", "logistic", "svm")
    stack: _stack(VECTOR_KINDS)
    output: _one_of("softmax", "sigmoid")


class Finetune(Training):
    """The training of the network and its head together."""

    # DVC takes 1 and 1.0 for the same, so a number may not mean two things.
    unfreeze: Annotated[
        Annotated[int, Field(strict=True, ge=0)] | Annotated[float, Field(gt=0, lt=1)] | Name,
        Field(
            description="none, all, auto, a number of layers counted from the top, a fraction of"
            " them above 0 and below 1, or the name of a layer or block"
        ),
    ]
    cut: _one_of("auto", "always", "never")
    head_learning_rate: Rate
    warmup: _whole(0, 1_000_000, "epochs")
    weight_decay: Fraction


class Augment(Section):
    """Random changes to training images; 0 and none switch one off."""

    flip: _one_of("none", "horizontal", "vertical", "horizontal_and_vertical")
    rotation: Annotated[float, Field(ge=0, le=180, description="degrees from 0 to 180")]
    shift: Strength
    zoom: Strength
    brightness: Strength
    contrast: Strength
    copies: _whole(0, 100)
    seed: Seed


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


def check_parameters(where: str, values: Any) -> dict[str, Any]:
    """Validates parameters as a whole.

    Args:
        where: what holds them, for errors.
        values: as they were read.

    Returns:
        The same values; nothing is converted.

    Raises:
        UserError: as `read_parameters`.
    """
    if not isinstance(values, dict):
        raise refuse(where, _sections(Parameters), values)
    try:
        checked = Parameters.model_validate(values)
    except ValidationError as error:
        raise _explain(where, values, error) from None
    check_consistency(where, flatten(checked.model_dump()))
    return values


def _explain(path: str, values: Any, error: ValidationError) -> UserError:
    # An unknown key explains a missing one (a typing error makes both), so it comes first.
    unknown = {"extra_forbidden", "invalid_key"}
    first = min(error.errors(), key=lambda e: e["type"] not in unknown)
    section, (name, *keys) = Parameters, map(str, first["loc"])
    field, value, where = section.model_fields.get(name), values.get(name), f"{path}: {name}"
    if field and keys:  # in a section
        section, name, where = field.annotation, keys[0], f"{where}.{keys[0]}"
        field, value = section.model_fields.get(name), value.get(name)
    if first["type"] in unknown:
        one_of = f"one of {_list_keys(section)}{_find_key(name, section)}"
        return refuse(f"{where} is unknown; it", one_of, name)
    allowed = _allowed(field)
    if first["type"] == "missing":
        return UserError(f"{where} must be given: {allowed}. Received: nothing")
    kinds = (field.annotation, *get_args(field.annotation))
    names = [known for kind in kinds for known in get_args(kind) if isinstance(known, str)]
    return refuse(where, allowed + nearest(value, names), value)


def _find_key(name: str, section: Any) -> str:
    """A hint for an unknown name: a near one beside it, or the sections that have such a key."""
    if section is Parameters:
        having = [
            f"{known}.{name}"
            for known, field in section.model_fields.items()
            if name in field.annotation.model_fields
        ]
        if having:
            return f" (did you mean {' or '.join(having)}?)"
    return nearest(name, section.model_fields)


def _allowed(field: Any) -> str:
    is_section = hasattr(field.annotation, "model_fields")
    return _sections(field.annotation) if is_section else field.description


def _sections(model: Any) -> str:
    what = "sections" if model is Parameters else "a section with the keys"
    return f"{what} {_list_keys(model)}"


def _list_keys(model: Any) -> str:
    return ", ".join(model.model_fields if model is Parameters else sorted(model.model_fields))
