"""A model by the colour of photos, as a file, and photos of which it is known what it says.

The model answers the class whose channel is the brightest on average.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from graft.models.description import write_description
from graft.models.framework import keras
from graft.models.saving import save_graph, save_model
from images import encoded
from trainings import describe

COLOURS = ("red", "green", "blue")
SIDE = 16
_SHARPNESS = 0.05


def photo(answer: int, seed: int, form: str = "PNG") -> bytes:
    """A file of which the model says this class; two of them have nothing else in common."""
    squares = np.random.default_rng([answer, seed]).integers(0, 140, (6, 6, 3))
    pixels = np.kron(squares, np.ones((8, 8, 1))).astype(np.uint8)
    pixels[..., answer] += 100
    return encoded(pixels, form)


def photos(
    counts: Mapping[str, Sequence[int]], first: int = 0, form: str = "png"
) -> dict[str, bytes]:
    """Photos `CLASS/NUMBER.png`: of each class so many for each answer, numbered from `first`."""
    found = {}
    for number_of_class, (label, answers) in enumerate(counts.items()):
        said = np.repeat(np.arange(len(answers)), answers)
        for number, answer in enumerate(said, first):
            data = photo(int(answer), 1000 * number_of_class + number, form.upper())
            found[f"{label}/{number}.{form}"] = data
    return found


def save_by_colour(
    folder: Path,
    name: str = "mine",
    classes: Sequence[str] = COLOURS,
    right: int = 90,
    of: int = 100,
    split: bytes | None = None,
) -> Path:
    """Writes the model as a graph and as a `.keras` file.

    Args:
        folder: where to.
        name: of the files.
        classes: as the model calls them; two or three.
        right, of: test photos, each a unit of its own.
        split: the table of its data set.

    Returns:
        The graph.
    """
    inputs = keras.Input((SIDE, SIDE, 3), name="pixels")
    means = keras.layers.GlobalAveragePooling2D()(inputs)
    outputs = keras.layers.Dense(len(classes), "softmax")(means)
    model = keras.Model(inputs, outputs, name="finetuned")
    model.set_weights([_SHARPNESS * np.eye(3, len(classes)), np.zeros(len(classes))])
    about = describe(classes, inputs="pixels", side=SIDE, n=of, accuracy=right / of)
    about = replace(about, units=((0, 1, of - right), (1, 1, right)))
    if split is not None:
        about = replace(about, data=hashlib.sha256(split).hexdigest())
    save_model(model, folder / f"{name}.keras")
    save_graph(model, folder / f"{name}.xml")
    for kind in ("keras", "xml"):
        write_description(folder / f"{name}.{kind}", about)
    return folder / f"{name}.xml"
