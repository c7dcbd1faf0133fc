"""Say what photos show: the ImageNet labels of a pretrained network of Keras, as it is."""

import argparse
import json
import sys
from pathlib import Path

import h5py

from graft.common.errors import nearest, refuse
from graft.decoder import reasons
from graft.images import files
from graft.network.catalogue import NETWORKS
from graft.network.stored_weights import NotPlain, count_numbers
from graft.prediction import imagenet, photos
from graft.prediction.answers import best_labels
from graft.prediction.imagenet import CLASSES, IMAGENET_NAMES, ImageNetClass
from graft.prediction.output import show_confidence
from graft.tools.options import parse_options

_WEIGHTS = "imagenet"
_OTHERS = "these are ImageNet's own labels; for those of your own model, run graft predict"


def main(arguments: list[str]) -> None:
    """`graft classify PHOTO…`: prints the best labels of each photo with their confidences.

    All that can be wrong with the command is checked before TensorFlow is imported, and every photo
    before the first answer.

    Raises:
        UserError: an option, a photo or a file is wrong, or Keras cannot fetch what it needs.
    """
    options = _options(arguments)
    paths = photos.find_photos(options.photos)
    classes = imagenet.read_classes(options.classes) if options.classes else None
    weights = None if options.weights == _WEIGHTS else Path(options.weights)
    if weights is not None:
        _check_weights(weights, options.backbone)
    pixels = photos.decode_photos(paths, NETWORKS[options.backbone].imagenet, options.fit)
    from graft.prediction.classifier import classify_photos, fetch_classes

    classes = classes or fetch_classes()
    print(f"classify: {_OTHERS}", file=sys.stderr)
    answers = classify_photos(options.backbone, weights, pixels)
    for number, (path, confidences) in enumerate(zip(paths, answers, strict=True)):
        photo, found = files.printable(str(path)), best_labels(confidences, classes, options.top)
        if options.json:
            print(label_json(photo, found))
        else:
            print("\n" * (number > 0) + label_text(photo, found))


def _options(arguments: list[str]) -> argparse.Namespace:
    options = parse_options("classify", __doc__, arguments)
    if options.backbone not in IMAGENET_NAMES:
        allowed = "a class of keras.applications" + nearest(options.backbone, IMAGENET_NAMES)
        raise refuse("--backbone", allowed, options.backbone)
    if not 1 <= options.top <= CLASSES:
        raise refuse("--top", f"a whole number from 1 to {CLASSES}", options.top)
    return options


def _check_weights(path: Path, name: str) -> None:
    try:
        usable = path.suffix in (".h5", ".hdf5") and h5py.is_hdf5(path)
        problem = "" if usable else "not an .h5 file" if path.is_file() else "no such file"
        if usable:
            count_numbers(path)
    except (OSError, NotPlain) as error:
        problem = reasons.unreadable(error) if isinstance(error, OSError) else str(error)
    if problem:
        allowed = f"{_WEIGHTS}, or a Keras weights file (.h5) of {name} with its classifier"
        raise refuse("--weights", allowed, f"{path} ({problem})")


def label_text(photo: str, found: list[tuple[ImageNetClass, float]]) -> str:
    """A photo's name and under it a line a label, for people."""
    lines = [
        f"  {show_confidence(value):>7}  {found.label.replace('_', ' ')}" for found, value in found
    ]
    return "\n".join([photo, *lines])


def label_json(photo: str, found: list[tuple[ImageNetClass, float]]) -> str:
    """The same as one line of JSON; confidences are rounded to six digits."""
    labels = [
        {"id": kind.id, "label": kind.label, "confidence": round(value, 6)} for kind, value in found
    ]
    return json.dumps({"photo": photo, "labels": labels})
