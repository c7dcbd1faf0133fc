"""Make changed copies of the training images, and their features."""

from collections.abc import Iterator

import numpy as np

from graft.arrays import Growing, Stored
from graft.atomic import whole
from graft.augment import augmentation
from graft.progress import Progress
from graft.rows import Rows, rows
from graft.stage import Stage

BATCH = 64  # images changed at once; another number draws other changes
SAMPLES, SHOWN = 6, 7  # images in the report, and changed views of each


def main(arguments: list[str]) -> None:
    """Writes the copies of the training images and their features, and samples for the report.

    `pixels.npy`, uint8 (augment.copies · n, side, side, 3): a first copy of all n training images
    in the order of the split, then a second one. `features.npy`, float32 with as many rows: their
    features of all depths. `samples.npy`, uint8 (m, 1 + SHOWN, side, side, 3): a few images, each
    unchanged and then changed; m is 0 where no change is switched on.
    """
    stage = Stage("views", arguments)
    train = rows(
        "train",
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs("tensors_npy"),
        stage["dataset.classes"],
    )
    copies, shape = stage["augment.copies"], train[:0].shape[1:]
    names = ("views_pixels_npy", "views_features_npy", "views_samples_npy")
    with whole(*(stage.output(name) for name in names)) as (pixels, features, shown):
        np.save(shown, samples(stage, train))
        with Growing(pixels, np.uint8, shape) as views:
            for view in _views(stage, train, copies):
                views.add(view)
        with Growing(features, np.float32) as outputs:
            for output in _features(stage, Stored(pixels)):
                outputs.add(output)
    print(f"views: {copies} of each of {len(train):,} training images")


def samples(stage: Stage, train: Rows) -> np.ndarray:
    """Images of different classes, each followed by changed views of it.

    Returns:
        uint8 (m, 1 + SHOWN, side, side, 3), at most SAMPLES images, the first of their classes; of
        no image where no change is switched on.
    """
    _, first = np.unique(train.labels, return_index=True)
    images = train[first[:SAMPLES]]
    change = augmentation(stage, images.shape[1])
    if change is None:
        return np.empty((0, 1 + SHOWN, *images.shape[1:]), np.uint8)
    return np.stack([images, *(_changed(change, images) for _ in range(SHOWN))], 1)


def _views(stage: Stage, train: Rows, copies: int) -> Iterator[np.ndarray]:
    if not copies:
        return
    change = augmentation(stage, train[:0].shape[1])
    with Progress("views", copies * len(train), "images") as progress:
        for _ in range(copies):
            for start in range(0, len(train), BATCH):
                yield _changed(change, train[start : start + BATCH])
                progress.advance(min(BATCH, len(train) - start))


def _changed(change, images: np.ndarray) -> np.ndarray:
    changed = np.asarray(change(images, training=True))
    return np.rint(changed).clip(0, 255).astype(np.uint8)


def _features(stage: Stage, views: Stored) -> Iterator[np.ndarray]:
    if not len(views):
        return
    from graft.inference import in_batches, run

    with Progress("views: features", len(views), "images") as progress:
        for output in run(stage.input("backbone_graph_xml"), in_batches(views)):
            yield output
            progress.advance(len(output))
