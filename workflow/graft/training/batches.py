"""Batches of a part: their order in each epoch, and another thread that makes them ahead."""

import random
from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from graft.judging.losses import weigh_images
from graft.models.framework import keras
from graft.parts.rows import LabelledRows

_Item = TypeVar("_Item")
_END = object()

Batch = tuple[np.ndarray, ...]


class Batches(keras.utils.PyDataset):
    """Batches of a part, read from the shards as they are needed.

    Args:
        part: the images or features.
        batch: rows a batch; the last may be smaller.
        seed: shuffles anew each epoch; without it the order is that of the split.
        class_weight: `none` or `balanced`, as of `weigh_images`.
        least: batches of an epoch at least: it goes through the part as often as that takes.
    """

    def __init__(
        self,
        part: LabelledRows,
        batch: int,
        seed: int | None = None,
        class_weight: str = "none",
        least: int = 1,
    ) -> None:
        super().__init__()
        self._part, self._batch = part, batch
        balanced = class_weight == "balanced"
        self._weights = weigh_images(part.labels, class_weight) if balanced else None
        self._generator = None if seed is None else np.random.default_rng(seed)
        self._each = -(-len(part) // batch)  # batches
        self._orders = [np.arange(len(part))] * -(-least // self._each)
        self.on_epoch_end()

    def __len__(self) -> int:
        return len(self._orders) * self._each

    def __getitem__(self, index: int) -> Batch:
        """Rows (batch, …) and int64 labels (batch,), with float64 weights (batch,) if balanced."""
        number, place = divmod(index, self._each)
        chosen = self._orders[number][place * self._batch : (place + 1) * self._batch]
        batch = self._part[chosen], self._part.labels[chosen]
        return batch if self._weights is None else (*batch, self._weights[chosen])

    def on_epoch_end(self) -> None:
        if self._generator is not None:
            n = len(self._part)
            self._orders = [self._generator.permutation(n) for _ in self._orders]

    def epochs(self, first: int, end: int) -> Generator[Batch]:
        """The batches of epochs `first` to `end` - 1, counted from 0, one after the other.

        The order is a function of this object's seed, of the state in which Python's generator now
        is, and of the epoch alone: it is drawn for the epochs before `first` too. No batch of this
        object was drawn yet, and none is drawn otherwise from now on.
        """
        # As `fit` of Keras, which lets an epoch end before the first, and shuffles batches, too.
        self.on_epoch_end()
        shuffling = random.Random()
        shuffling.setstate(random.getstate())
        return self._from_epoch(first, end, shuffling)

    def _from_epoch(self, first: int, end: int, shuffling: random.Random) -> Generator[Batch]:
        for epoch in range(end):
            places = [*range(len(self))]
            shuffling.shuffle(places)  # the last batch, which may be smaller, is at any place
            if epoch >= first:
                yield from map(self.__getitem__, places)
            self.on_epoch_end()


def made_ahead(items: Generator[_Item], count: int) -> Generator[_Item]:
    """The same items in their order, made by another thread before they are asked for.

    Once this generator is closed, best by `contextlib.closing`, `items` is closed too and the
    thread has ended, at the latest with the item that it was making.

    Args:
        items: runs in the other thread alone.
        count: how many items wait at most.

    Raises:
        whatever `items` raises, when that item would be due.
    """
    thread = ThreadPoolExecutor(1, "batches")
    waiting = deque(thread.submit(next, items, _END) for _ in range(count))
    try:
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(thread.submit(next, items, _END))
            yield item
    finally:
        thread.shutdown(cancel_futures=True)
        items.close()
