"""What people say of their images, of shards and of a network, as values of parameters."""

import contextlib
import os
from pathlib import Path
from typing import Any

from graft.common.atomic import write_text
from graft.common.errors import UserError, nearest, refuse
from graft.images.files import SHARD_FILES
from graft.images.sources import count_files
from graft.images.suggestions import suggest_near
from graft.integrity.mending import say
from graft.network.catalogue import NETWORKS, OWN
from graft.network.hub import FAMILIES, HUB, HUB_NAMES, PRESET, find_preset
from graft.project.parameters import read_values
from graft.project.pipeline import MOST_SHARDS, SHARDS, list_shards

# The usual value of `dataset.corrections`.
CORRECTIONS = Path("data/corrections.csv")
# In place of a number of shards: by the number of files.
BY_NUMBER = "auto"
_SHARDS = """\
# Into how many shards the images are divided: `graft use` writes it, by the number of files or by
# `--shards N`, and dvc.yaml reads it.
shards:
  count: {count}
  keys: {keys}
"""
# A network by what it is good for, with the side of its images in pixels, which it also has when it
# is named itself; workflow/recipes/photos.yaml has the measurements.
CHOICES = {
    "fast": ("MobileNetV2", 160),
    "balanced": ("EfficientNetV2B0", 224),
    "best": ("EfficientNetV2S", 384),
    "modern": ("hub/dinov2_small", 224),
}
# Photos a second on two cores, of which the features are computed.
RATES = {"MobileNetV2": 376, "EfficientNetV2B0": 106, "EfficientNetV2S": 11, "hub/dinov2_small": 12}
_USUAL = 224  # pixels of a side, of networks that take many


def choose_network(name: str) -> dict[str, Any]:
    """The parameters of a pretrained network, by dotted key.

    Args:
        name: one of `CHOICES`, a class of `keras.applications`, or a preset of KerasHub.

    Raises:
        UserError: it is none of them.
    """
    pretrained = [known for known in NETWORKS if known not in OWN]
    measured = dict(CHOICES.values())
    network = CHOICES[name][0] if name in CHOICES else name
    if network.startswith(HUB):
        return _choose_preset(network, measured.get(network, _USUAL))
    if network not in pretrained:
        allowed = f"{', '.join(CHOICES)}, a class of keras.applications, or {HUB}PRESET"
        raise refuse(
            "--network", allowed + nearest(name, [*CHOICES, *pretrained, *HUB_NAMES]), name
        )
    side = measured.get(network, NETWORKS[network].imagenet)
    return {"backbone.name": network, "backbone.weights": "imagenet", "image.side": side}


def _choose_preset(name: str, side: int) -> dict[str, Any]:
    """As its authors use it. Its features are taken as they are: they are made for that, and to
    train such a network takes hours on two cores.
    """
    preset = find_preset(name)
    return {
        "backbone.name": name,
        "backbone.weights": PRESET,
        "backbone.pooling": FAMILIES[preset.family].pooling,
        "image.side": preset.side or -(-side // preset.patch) * preset.patch,
        "finetune.unfreeze": "none",
    }


def say_time_of_features(network: str, dataset: str) -> str:
    """How long the features of a data set take; empty where that is not known.

    Args:
        network: the value of `backbone.name`.
        dataset: the value of `dataset.path`.
    """
    if network not in RATES:
        return ""
    try:
        files = count_files(dataset)
    except (UserError, OSError):  # the run says what is wrong
        return ""
    seconds = files / RATES[network]
    took = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return (
        f"The features of {files:,} photos take about {took} on two cores"
        f" ({RATES[network]} photos a second)"
    )


def place_images(given: str) -> str:
    """The value of `dataset.path` for a path as people type it.

    Args:
        given: a file or folder, from this folder, from the home folder (`~`), or absolute.

    Returns:
        The path from this folder if it is inside, as it then is in every clone; else absolute.

    Raises:
        UserError: there is nothing at this path, or this folder is in it.
    """
    path = Path(os.path.abspath(Path(given).expanduser()))  # noqa: PTH100, links stay as they are
    if not given or not path.exists():
        raise refuse("--images", f"a file or folder that exists{suggest_near(path)}", given)
    here = Path.cwd()
    if here.is_relative_to(path):
        allowed = "a folder of images: the project is in this one, with all its own files"
        raise refuse("--images", allowed, given)
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def read_shards(text: str) -> int | None:
    """The number of shards in an option; None for `auto`.

    Raises:
        UserError: it is neither.
    """
    if text == BY_NUMBER:
        return None
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 1 <= number <= MOST_SHARDS:
        raise refuse("--shards", f"{BY_NUMBER}, or a whole number from 1 to {MOST_SHARDS:,}", text)
    return number


def suit_number(dataset: str, kept: int | None = None) -> int:
    """The number of shards that suits a data set: one for each SHARD_FILES files.

    A shard is what one process works on. On one machine a single one is the fastest, since a stage
    fills all cores; several are what many machines share, and what a killed run does again at most.

    Args:
        dataset: the value of `dataset.path`. Where nothing is there yet, one shard suits.
        kept: the present number, if it is of the same data set. It stays where it is at most twice
            or half the right one: with another number all is computed anew.
    """
    try:
        files = count_files(dataset)
    except (UserError, OSError):  # the run says what is wrong
        files = 0
    number = min(max(1, -(-files // SHARD_FILES)), MOST_SHARDS)
    return kept if kept and kept <= 2 * number and number <= 2 * kept else number


def heal_shards() -> None:
    """Writes the number of shards anew where the file of it is gone or in the conflict of a merge.

    Results do not depend on it, so nothing is lost by it.
    """
    text = SHARDS.read_text(encoding="utf-8", errors="replace") if SHARDS.is_file() else ""
    if not SHARDS.exists() or any(line.startswith("<<<<<<< ") for line in text.splitlines()):
        # The run says what is wrong with the parameters.
        with contextlib.suppress(UserError, LookupError, TypeError):
            number = suit_number(read_values()["dataset"]["path"])
            divide(number)
            say(f"{SHARDS} was {'in conflict' if text else 'gone'} and is written anew: {number}")


def heal_corrections() -> None:
    """Writes a table of corrections without a row where there is none at the usual place."""
    if CORRECTIONS.exists():
        return
    from graft.labelling.corrections import write_corrections  # it is hardly ever needed here

    with contextlib.suppress(UserError, LookupError, TypeError):  # the run says what is wrong
        if Path(read_values()["dataset"]["corrections"]) == CORRECTIONS:
            write_corrections(CORRECTIONS, [])


def divide(count: int, folder: Path = Path()) -> None:
    """Writes into how many shards the images are divided.

    Args:
        count: the number.
        folder: of the project.
    """
    write_text(folder / SHARDS, _SHARDS.format(**list_shards(count)))
