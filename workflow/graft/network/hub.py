"""The image networks of KerasHub, by preset, without TensorFlow and KerasHub.

A preset is a network with its weights and what its pixels are multiplied by. `hub.json` beside this
module lists those that KerasHub publishes; `workflow/scripts/hub.py` writes it. One in a folder of
`data/pretrained` may be any of the same families; what its `config.json` says counts.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from graft.common.errors import UserError, nearest, refuse
from graft.network.stored_model import check_kinds
from graft.network.stored_weights import NotPlain, count_numbers

HUB = "hub/"  # begins the names of these networks in `backbone.name`
PRESET = "preset"  # the value of `backbone.weights` for a preset's own
_PRETRAINED = Path("data/pretrained")
PRESETS_FILE = Path(__file__).with_name("hub.json")
CONFIG, CONVERTER, WEIGHTS = "config.json", "image_converter.json", "model.weights.h5"
_WHERE = "params.yaml: backbone.name"
_LONGEST = 2**20  # bytes of a file of JSON
_BYTES = 4  # of a parameter
_SMALLEST, _LARGEST = 32, 1024  # pixels of a side


class Family(NamedTuple):
    """What is known of all presets of a class of KerasHub.

    Attributes:
        title: what people call it.
        sides: `any`; `patches`, a whole number of patches; or `own`, that of the preset alone,
            whose positions are fixed.
        pooling: how its authors make a feature of its output, a value of `backbone.pooling`.
        tokens: how many tokens come before those of the patches, registers not counted. The first
            stands for the whole image (class token), a second of DeiT for what it was taught.
    """

    title: str
    sides: Literal["any", "patches", "own"]
    pooling: str
    tokens: int


FAMILIES = {
    # Linear probes with the class token and the mean of the patches: Oquab et al. 2023,
    # arXiv:2304.07193, appendix B.3; Siméoni et al. 2025, arXiv:2508.10104.
    "DINOV2Backbone": Family("DINOv2", "patches", "token_avg", 1),
    "DINOV3Backbone": Family("DINOv3", "patches", "token_avg", 1),
    # Dosovitskiy et al. 2020, arXiv:2010.11929; Touvron et al. 2020, arXiv:2012.12877.
    "ViTBackbone": Family("ViT", "own", "token", 1),
    "DeiTBackbone": Family("DeiT", "own", "token", 2),
    # Radford et al. 2021, arXiv:2103.00020.
    "CLIPVisionEncoder": Family("CLIP", "own", "token", 1),
    # It ends with a pooling of its own, by attention: Zhai et al. 2023, arXiv:2303.15343.
    "SigLIPVisionEncoder": Family("SigLIP", "own", "avg", 0),
    "ResNetBackbone": Family("ResNet", "any", "avg", 0),
    "EfficientNetBackbone": Family("EfficientNet", "any", "avg", 0),
    "MobileNetBackbone": Family("MobileNetV3", "any", "avg", 0),
}
# Models of images and texts, and the part of them that sees images.
TOWERS = {"CLIPBackbone": "CLIPVisionEncoder", "SigLIPBackbone": "SigLIPVisionEncoder"}


class Preset(NamedTuple):
    """A network of KerasHub.

    Attributes:
        family: a key of `FAMILIES`.
        side: the only one that it takes, in pixels; 0 where there are more.
        patch: its sides are multiples of it, in pixels.
        prefix: how many tokens come before those of the patches: class, distillation, registers.
        parameters: about how many it has, those of texts included.
    """

    family: str
    side: int
    patch: int
    prefix: int
    parameters: int


# Those that KerasHub publishes.
PRESETS = {name: Preset(**row) for name, row in json.loads(PRESETS_FILE.read_text("utf-8")).items()}
# As `backbone.name` has them.
HUB_NAMES = tuple(f"{HUB}{name}" for name in PRESETS)


def find_folder(name: str) -> Path | None:
    """The folder of `data/pretrained` that holds a preset; None where there is none.

    Args:
        name: a value of `backbone.name`, such as `hub/dinov2_small`.
    """
    folder = name_folder(name)
    return folder if folder.is_dir() else None


def name_folder(name: str) -> Path:
    """Where a preset is looked for, by the value of `backbone.name`."""
    return _PRETRAINED / name.removeprefix(HUB)


def find_preset(name: str) -> Preset:
    """A preset by the value of `backbone.name`: that in a folder, or else a published one.

    Raises:
        UserError: there is none of this name, or its folder holds something else.
    """
    if folder := find_folder(name):
        return read_preset(folder)
    if name in HUB_NAMES:
        return PRESETS[name.removeprefix(HUB)]
    titles = ", ".join(family.title for family in FAMILIES.values())
    allowed = (
        f"{HUB} with the name of a preset of KerasHub ({titles}), or with that of a folder of"
        f" {_PRETRAINED} that holds one{nearest(name, HUB_NAMES)}"
    )
    raise refuse(_WHERE, allowed, name)


def read_preset(folder: Path) -> Preset:
    """What a folder says of the preset in it.

    Raises:
        UserError: it is no preset of these families.
    """
    config = read_json_part(folder, CONFIG)
    family = config["class_name"]
    if family in TOWERS:
        config = config["config"].get("vision_encoder")
        family = TOWERS[family]
    settings = config.get("config") if isinstance(config, dict) else None
    if family not in FAMILIES or not isinstance(settings, dict):
        titles = ", ".join(known.title for known in FAMILIES.values())
        raise _refuse(folder, CONFIG, f"one of {titles}", family)
    weights = folder / WEIGHTS
    parameters = weights.stat().st_size // _BYTES if weights.is_file() else 0
    if FAMILIES[family].sides == "any":
        return Preset(family, 0, 1, 0, parameters)
    shape, patch = settings.get("image_shape"), settings.get("patch_size")
    patch = patch[0] if isinstance(patch, list) and patch else patch
    side = shape[0] if isinstance(shape, list) and len(shape) == 3 else None
    registers = settings.get("num_register_tokens", 0)
    if not all(_is_count(number, low) for number, low in ((side, 1), (patch, 1), (registers, 0))):
        allowed = "a network with image_shape, patch_size and num_register_tokens"
        raise _refuse(folder, CONFIG, allowed, [side, patch, registers])
    prefix = FAMILIES[family].tokens + registers
    prefix *= settings.get("use_class_token") is not False
    sides = (side, 1) if FAMILIES[family].sides == "own" else (0, patch)
    return Preset(family, *sides, prefix, parameters)


def read_json_part(folder: Path, name: str) -> dict[str, Any]:
    """A file of JSON of a preset, whose parts are all known to be harmless.

    Args:
        folder: of the preset.
        name: of the file: a network, or what its pixels are multiplied by.

    Raises:
        UserError: it is missing, no JSON, or has parts that no such network has.
    """
    path = folder / name
    _check_plain(folder)
    if not path.is_file():
        raise _refuse(folder, name, "there", "no such file")
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise NotPlain(f"more than {_LONGEST >> 20} MiB")
        found = json.loads(data)
        check_kinds(found)
    except (NotPlain, ValueError, RecursionError) as error:
        problem = " ".join(str(error)[:200].split()) or type(error).__name__
        raise _refuse(folder, name, "the JSON of a network that graft knows", problem) from None
    kind = found.get("class_name") if isinstance(found, dict) else None
    sound = isinstance(kind, str) and isinstance(found.get("config"), dict)
    # KerasHub goes by the second name.
    if not sound or found.get("registered_name") != f"keras_hub>{kind}":
        raise _refuse(folder, name, "as `save_to_preset` of KerasHub writes it", kind)
    return found


def check_preset_weights(folder: Path) -> None:
    """Checks that a folder has weights, which are plain arrays.

    Raises:
        UserError: it has not.
    """
    _check_plain(folder)
    try:
        count_numbers(folder / WEIGHTS)
    except (NotPlain, OSError) as error:
        problem = " ".join(str(error)[:200].split())
        raise _refuse(folder, WEIGHTS, "a file of weights in HDF5, plain arrays", problem) from None


def find_sides(preset: Preset) -> tuple[int, int, int]:
    """The smallest and the largest side that a preset takes, and the step between, in pixels."""
    if preset.side:
        return preset.side, preset.side, 1
    step = preset.patch
    return -(-_SMALLEST // step) * step, _LARGEST // step * step, step


def _check_plain(folder: Path) -> None:
    """A link could lead to any file of the machine, which DVC would not follow."""
    for path in (folder, *(folder / name for name in (CONFIG, CONVERTER, WEIGHTS))):
        if path.is_symlink():
            raise refuse(_WHERE, "a folder of plain files, without links", str(path))


def _refuse(folder: Path, name: str, allowed: str, received: Any) -> UserError:
    return refuse(str(folder / name), allowed, received)


def _is_count(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= 2**14
