"""What is known of the ImageNet networks of Keras before TensorFlow is imported."""

import json
from pathlib import Path
from typing import NamedTuple

from graft.common.errors import refuse
from graft.images import files
from graft.project.catalogue import NETWORKS, OWN

# The networks for which Keras offers ImageNet weights.
IMAGENET_NAMES = tuple(name for name in NETWORKS if name not in OWN)
# How many classes they tell apart.
CLASSES = 1000
# The side of the photos that a network was trained on, in pixels; a test asks Keras for them.
SIDES = dict.fromkeys(IMAGENET_NAMES, 224) | {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2L": 480,
    "EfficientNetV2M": 480,
    "EfficientNetV2S": 384,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


class ImageNetClass(NamedTuple):
    """One of the classes.

    Attributes:
        id: its WordNet id, such as `n02123045`.
        label: its name as Keras writes it, such as `Egyptian_cat`.
    """

    id: str
    label: str


def read_classes(path: Path) -> tuple[ImageNetClass, ...]:
    """Reads a class index in Keras' own format, `{"0": ["n01440764", "tench"], …}`.

    Args:
        path: the file.

    Returns:
        The classes in the order of the network's outputs.

    Raises:
        UserError: it cannot be read or is no such index.
    """
    allowed = (
        f'a class index as Keras has it, {{"0": ["n01440764", "tench"], … "{CLASSES - 1}": …}}'
    )

    def wrong(reason: str) -> Exception:
        return refuse("--classes", allowed, f"{path} ({reason})")

    try:
        index = json.loads(path.read_bytes())
    except OSError as error:
        raise wrong(files.unreadable(error)) from None
    except (ValueError, RecursionError) as error:
        raise wrong(f"not JSON: {error}") from None
    if not isinstance(index, dict) or index.keys() != {str(i) for i in range(len(index))}:
        raise wrong("its keys do not count from 0")
    if len(index) != CLASSES:
        raise wrong(f"{len(index)} classes instead of {CLASSES}")
    for number in range(CLASSES):
        entry = index[str(number)]
        if not (
            isinstance(entry, list)
            and len(entry) == 2
            and all(isinstance(text, str) and text.isprintable() and text for text in entry)
        ):
            raise wrong(f"entry {number} is no id and label")
    return tuple(ImageNetClass(*index[str(number)]) for number in range(CLASSES))
