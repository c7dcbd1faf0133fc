"""Say what photos show: the ImageNet labels of a pretrained network of Keras, as it is."""

import argparse
import json
from pathlib import Path

import h5py
import numpy as np

from graft.common.errors import refuse
from graft.images import files
from graft.network.catalogue import NETWORKS
from graft.tools import imagenet, photos
from graft.tools.imagenet import CLASSES, IMAGENET_NAMES, ImageNetClass

_WEIGHTS = "imagenet"


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
    from graft.tools.classifier import classify_photos, fetch_classes

    classes = classes or fetch_classes()
    answers = classify_photos(options.backbone, weights, pixels)
    for number, (path, confidences) in enumerate(zip(paths, answers, strict=True)):
        photo, found = files.printable(str(path)), best_labels(confidences, classes, options.top)
        if options.json:
            print(label_json(photo, found))
        else:
            print("\n" * (number > 0) + label_text(photo, found))


def _options(arguments: list[str]) -> argparse.Namespace:
    text = f"{__doc__} It is not trained, and needs no project."
    parser = argparse.ArgumentParser(prog="graft classify", description=text)
    add = parser.add_argument
    add("photos", nargs="+", metavar="PHOTO", help="an image file, or a folder of them")
    backbone = "a class of keras.applications (default: %(default)s)"
    add("--backbone", default="MobileNetV2", metavar="NAME", help=backbone)
    weights = "a weights file (.h5) of it with its classifier (default: Keras fetches %(default)s)"
    add("--weights", default=_WEIGHTS, metavar="FILE", help=weights)
    classes = "names of the classes, as in imagenet_class_index.json (default: Keras fetches that)"
    add("--classes", type=Path, metavar="FILE", help=classes)
    add("--top", type=int, default=5, metavar="N", help="labels to show (default: %(default)s)")
    fit = "make a photo square: stretch it, cut out its middle, or pad it (default: %(default)s)"
    add("--fit", choices=["stretch", "crop", "pad"], default="crop", help=fit)
    add("--json", action="store_true", help="print one JSON object a photo and line")
    options = parser.parse_args(arguments)
    if options.backbone not in IMAGENET_NAMES:
        raise refuse("--backbone", f"one of {', '.join(IMAGENET_NAMES)}", options.backbone)
    if not 1 <= options.top <= CLASSES:
        raise refuse("--top", f"a whole number from 1 to {CLASSES}", options.top)
    return options


def _check_weights(path: Path, name: str) -> None:
    try:
        usable = path.suffix in (".h5", ".hdf5") and h5py.is_hdf5(path)
        problem = "" if usable else "not an .h5 file" if path.is_file() else "no such file"
    except OSError as error:
        problem = files.unreadable(error)
    if problem:
        allowed = f"{_WEIGHTS}, or a Keras weights file (.h5) of {name} with its classifier"
        raise refuse("--weights", allowed, f"{path} ({problem})")


def best_labels(
    confidences: np.ndarray, classes: tuple[ImageNetClass, ...], count: int
) -> list[tuple[ImageNetClass, float]]:
    """The classes with the highest confidences, best first; of equal ones the first in the index.

    Args:
        confidences: float32 (n,).
        classes: n of them.
        count: how many.
    """
    order = np.argsort(-confidences, kind="stable")[:count]
    return [(classes[i], float(confidences[i])) for i in order]


def label_text(photo: str, found: list[tuple[ImageNetClass, float]]) -> str:
    """A photo's name and under it a line a label, for people."""
    lines = [f"  {_percent(value):>7}  {found.label.replace('_', ' ')}" for found, value in found]
    return "\n".join([photo, *lines])


def _percent(confidence: float) -> str:
    return f"{100 * confidence:.1f} %" if confidence >= 0.0005 else "<0.1 %"


def label_json(photo: str, found: list[tuple[ImageNetClass, float]]) -> str:
    """The same as one line of JSON; confidences are rounded to six digits."""
    labels = [
        {"id": kind.id, "label": kind.label, "confidence": round(value, 6)} for kind, value in found
    ]
    return json.dumps({"photo": photo, "labels": labels})
