"""What is known of the ImageNet networks of Keras before TensorFlow is imported."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.errors import refuse
from graft.decoder import reasons
from graft.network.catalogue import NETWORKS, OWN

# The networks for which Keras offers ImageNet weights.
IMAGENET_NAMES = tuple(name for name in NETWORKS if name not in OWN)
# How many classes they tell apart.
CLASSES = 1000


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
    example = f'{{"0": ["n01440764", "tench"], … "{CLASSES - 1}": …}}'
    try:
        index = json.loads(path.read_bytes())
        problem = _problem_of_index(index)
    except OSError as error:
        problem = reasons.unreadable(error)
    except (ValueError, RecursionError) as error:
        problem = f"not JSON: {error}"
    if problem:
        allowed = f"a class index as Keras has it, {example}"
        raise refuse("--classes", allowed, f"{path} ({problem})")
    return tuple(ImageNetClass(*index[str(number)]) for number in range(CLASSES))


def _problem_of_index(index: Any) -> str:
    """Why a value is no class index; empty if it is one."""
    if not isinstance(index, dict) or index.keys() != {str(i) for i in range(len(index))}:
        return "its keys do not count from 0"
    if len(index) != CLASSES:
        return f"{len(index)} classes instead of {CLASSES}"
    for number, entry in index.items():
        texts = entry if isinstance(entry, list) else []
        good = [isinstance(text, str) and text.isprintable() and text != "" for text in texts]
        if good != [True, True]:
            return f"entry {number} is no id and label"
    return ""
