"""Whether the frozen part of a model runs once, or in every epoch of its training."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from graft.augment import changes
from graft.costs import Work, multiply_adds
from graft.errors import refuse
from graft.rows import Rows
from graft.stored import Outputs, Overflow, folder, store
from graft.tail import Parts

WHERE = "params.yaml: finetune.cut"
STORED = np.float16


@contextmanager
def data(
    settings: Mapping[str, Any], parts: Parts, pixels: dict[str, Rows]
) -> Iterator[dict[str, Rows] | dict[str, Outputs]]:
    """What to train on: stored outputs of the frozen part, or pixels. Says which, and why.

    Args:
        settings: the parameters `finetune.*` and `augment.*` by dotted key.
        parts: the model in two parts.
        pixels: the rows of train, with its views, valid and test.

    Yields:
        `Outputs` for the tail, or the pixels themselves. The outputs are gone afterwards.

    Raises:
        UserError: `finetune.cut` is `always` and cannot be; the disk is full.
    """
    always = settings["finetune.cut"] == "always"
    if always and parts.frozen is None:
        allowed = "auto or never where finetune.unfreeze leaves no layer frozen that computes"
        raise refuse(WHERE, allowed, "always")
    work = None if parts.frozen is None else _work(settings, parts, pixels)
    reason = None if always else _reason(settings, work)
    with ExitStack() as stack:
        found = pixels
        if reason is None:
            where = stack.enter_context(folder())
            try:
                found = store(parts.frozen, pixels, where, STORED)
            except Overflow as overflow:
                reason = f"{overflow}, too large for {np.dtype(STORED)}"
                if always:
                    allowed = f"auto or never: of the outputs of {parts.cut} {reason}"
                    raise refuse(WHERE, allowed, "always") from None
        print(_line(parts, work, reason))
        yield found


def _work(settings: Mapping[str, Any], parts: Parts, pixels: dict[str, Rows]) -> Work:
    width = np.dtype(STORED).itemsize * int(np.prod(parts.frozen.output_shape[1:]))
    return Work(
        frozen=multiply_adds(parts.frozen),
        tail=multiply_adds(parts.tail),
        width=width,
        **{part: len(rows) for part, rows in pixels.items()},
        epochs=settings["finetune.epochs"] * settings["finetune.repeats"],
    )


def _reason(settings: Mapping[str, Any], work: Work | None) -> str | None:
    """Why the frozen part runs in every epoch, or None where it runs once."""
    if work is None:
        return "no layer that computes is frozen"
    if settings["finetune.cut"] == "never":
        return "finetune.cut is never"
    if changes(settings) and not settings["augment.copies"]:
        return "augment.copies is 0, so that every epoch changes the images anew"
    return work.worth()


def _line(parts: Parts, work: Work | None, reason: str | None) -> str:
    if work is None:
        return f"finetune: trains on pixels: {reason}"
    layers = f"{parts.below} of {parts.layers} layers in each of {work.epochs} epochs"
    if reason is not None:
        return f"finetune: runs {layers}, those up to {parts.cut}: {reason}"
    images = work.stored // work.width
    return (
        f"finetune: stored {images:,} outputs of {parts.cut} ({_bytes(work.width)} each,"
        f" {_bytes(work.stored)}) once instead of running {layers}:"
        f" about {max(work.saving(), 0):.0%} less time"
    )


def _bytes(count: int) -> str:
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1000**power:
            return f"{count / 1000**power:.3g} {unit}"
    return f"{count} B"
