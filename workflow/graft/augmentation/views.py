"""Make augmented views of the training images, and their features."""

from collections.abc import Iterator

import numpy as np

from graft.augmentation.random_layers import build_augmentation
from graft.common.arrays import Growing, Stored, in_batches
from graft.common.progress import Progress
from graft.common.stage import Stage
from graft.parts.rows import Rows, read_parts

_BATCH = 64  # images augmented at once; another number draws others
_SAMPLES, _SHOWN = 6, 7  # images in the report, and views of each
_NOTHING = "none"  # of the network is trained, so only a head might learn from stored views


def main(stage: Stage) -> None:
    """Writes views of the training images and their features, and samples for the report.

    `pixels.npy`, uint8 (augment.copies · n, side, side, 3): a first view of all n training images
    in the order of the split, then a second one. `features.npy`, float32 with as many rows: their
    features of all depths. `samples.npy`, uint8 (m, 1 + _SHOWN, side, side, 3): a few images, each
    unchanged and then augmented; m is 0 where nothing is switched on, or nothing learns from views.
    """
    train = read_parts(stage, "data/tensors")["train"]
    copies, shape = stage["augment.copies"], train[:0].shape[1:]
    pixels = stage.output("data/views/pixels.npy")
    np.save(stage.output("data/views/samples.npy"), draw_samples(stage, train))
    with Growing(pixels, np.uint8, shape) as views:
        for view in _views(stage, train, copies) if copies else ():
            views.add(view)
    with Growing(stage.output("data/views/features.npy"), np.float32) as outputs:
        for output in _features(stage, Stored(pixels)) if copies else ():
            outputs.add(output)
    print(f"views: {copies} of each of {len(train):,} training images")


def draw_samples(stage: Stage, train: Rows) -> np.ndarray:
    """Images of different classes, each followed by views of it.

    Returns:
        uint8 (m, 1 + _SHOWN, side, side, 3), the first images of at most _SAMPLES classes; m is 0
        where nothing is switched on, or nothing learns from views.
    """
    _, first = np.unique(train.labels, return_index=True)
    images = train[first[:_SAMPLES]]
    used = stage["augment.copies"] or stage["finetune.unfreeze"] != _NOTHING
    augment = build_augmentation(stage, images.shape[1]) if used else None
    if augment is None:
        return np.empty((0, 1 + _SHOWN, *images.shape[1:]), np.uint8)
    return np.stack([images, *(_augmented(augment, images) for _ in range(_SHOWN))], 1)


def _views(stage: Stage, train: Rows, copies: int) -> Iterator[np.ndarray]:
    augment = build_augmentation(stage, train[:0].shape[1])
    with Progress("views", copies * len(train), "images") as progress:
        for _ in range(copies):
            for images in in_batches(train, _BATCH):
                yield _augmented(augment, images)
                progress.advance(len(images))


def _augmented(augment, images: np.ndarray) -> np.ndarray:
    augmented = np.asarray(augment(images, training=True))
    return np.rint(augmented).clip(0, 255).astype(np.uint8)


def _features(stage: Stage, views: Stored) -> Iterator[np.ndarray]:
    from graft.models.inference import run_graph

    with Progress("views: features", len(views), "images") as progress:
        for output in run_graph(stage.input("data/backbone/graph.xml"), views):
            yield output
            progress.advance(len(output))
