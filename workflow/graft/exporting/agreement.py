"""Whether an export answers as the pipeline does, and what quantising costs."""

from typing import Any, NamedTuple

import numpy as np

from graft.common.errors import UserError
from graft.statistics.accuracy import accuracy_interval
from graft.statistics.significance import LEVEL, compare_right

# Of a probability, between two runtimes in float32, which add up in another order. Measured: 3e-6
# for a network of 9 convolutions and 1e-5 for MobileNetV2; a wrong scaling of pixels gives 0.1.
LARGEST_DIFFERENCE = 1e-4


class Agreement(NamedTuple):
    """An export beside the model that it was made from.

    Attributes:
        n: test images.
        equal: how many of them get the same label from both.
        difference: the largest of all probabilities.
        before: the accuracy of the model on these images, 0–1.
        after: of the export.
        low: the lower end of the 95 % interval of `after`, by unit.
        high: its upper end.
        p: of the difference of the two accuracies, as `compare_right` tests it.
    """

    n: int
    equal: int
    difference: float
    before: float
    after: float
    low: float
    high: float
    p: float

    @property
    def lost(self) -> float:
        """The accuracy that the export costs, −1 to 1."""
        return self.before - self.after

    @property
    def loses_more_than_chance(self) -> bool:
        """Whether chance makes so large a loss in fewer cases than LEVEL."""
        return self.lost > 0 and self.p < LEVEL


class LossAboveChance(Exception):
    """A quantised model is worse than the one that it was made from; the message says by how much.

    It is an answer, not a mistake of the user: the command ends with status 1.
    """


class ProgramCheck(NamedTuple):
    """What the program of an export said, beside what graft says of the same files.

    Attributes:
        originals: files of the test part that were tried.
        kinds: of these, such as `PNG I;16`.
        problem: why there were none; else empty.
        odd: files of the package that were tried.
        refused: how many of all have no picture, for both.
        difference: the largest of all probabilities.
    """

    originals: int
    kinds: tuple[str, ...]
    problem: str
    odd: int
    refused: int
    difference: float


def compare_answers(
    expected: np.ndarray, found: np.ndarray, labels: np.ndarray, units: np.ndarray
) -> Agreement:
    """Compares two answers to the same images.

    Args:
        expected: float (n, classes), probabilities of the pipeline.
        found: those of the export, of the same shape.
        labels: int (n,), the true classes.
        units: int (n,), equal for images that must stay together.

    Raises:
        UserError: some probabilities of the export are not finite.
    """
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise UserError(
            "the export must answer with a finite probability for each class; nothing was written."
            f" Received: {found.shape}, {int((~np.isfinite(found)).sum())} not finite"
        )
    predicted, right = expected.argmax(1), found.argmax(1) == labels
    *_, p, _, _ = compare_right(predicted == labels, right, units)
    low, high, *_ = accuracy_interval(right, units)
    return Agreement(
        n=len(labels),
        equal=int((found.argmax(1) == predicted).sum()),
        difference=float(np.abs(found - expected).max()),
        before=float((predicted == labels).mean()),
        after=float(right.mean()),
        low=float(low),
        high=float(high),
        p=p,
    )


def check_agreement(agreement: Agreement) -> None:
    """Checks that a float32 export answers as the pipeline does.

    Two answers within the bound can have different labels only where both classes are as likely.

    Raises:
        UserError: a probability differs by more than LARGEST_DIFFERENCE.
    """
    if agreement.difference > LARGEST_DIFFERENCE:
        raise UserError(
            "the export must answer as the pipeline did, within"
            f" {LARGEST_DIFFERENCE:g} of each probability; nothing was written. If the model was"
            " made anew since, run the pipeline. Received: a difference of"
            f" {agreement.difference:.2g}, and another label for"
            f" {agreement.n - agreement.equal} of {agreement.n} test images"
        )


def check_loss(agreement: Agreement, quantize: str) -> None:
    """Checks that quantising has cost no more than chance.

    Raises:
        LossAboveChance: it has.
    """
    if agreement.loses_more_than_chance:
        raise LossAboveChance(
            f"{quantize} costs {100 * agreement.lost:.1f} percentage points of accuracy on"
            f" {agreement.n} test images, more than chance (p = {agreement.p:.2g}); nothing was"
            " written. Export without --quantize, or with another one, or with --accept-loss"
        )


def tell_agreement(agreement: Agreement, program: ProgramCheck) -> dict[str, Any]:
    """The same for `model.json`, rounded."""
    rounded = {name: round(value, 6) for name, value in agreement._asdict().items()}
    tried = program._asdict() | {"difference": float(f"{program.difference:.2g}")}
    return rounded | {"difference": float(f"{agreement.difference:.2g}"), "program": tried}
