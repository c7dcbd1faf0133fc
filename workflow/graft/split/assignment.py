"""Which part each image goes to: train, valid or test.

An image keeps its part when others are added. That needs a rule that uses only the image, so the
part follows from a seeded hash of its id. The shares of the parts hold in each class as they do for
a coin thrown for every image: within about √(n·share), not exactly. Only where chance leaves a
class out of a part, the image with the nearest hash is moved there. Images of one group, and equal
files, share a hash and so a part. Changing the shares of train and valid moves no image into or out
of test.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import pandas as pd

from graft.common.classes import LEFT_OUT

# A part that comes earlier is drawn from all images, whatever the shares of the later ones.
ORDER = ("test", "valid", "train")
_Places: TypeAlias = set[float]


def assign_parts(
    files: pd.DataFrame,
    left_out: pd.Series,
    shares: dict[str, float],
    draw: Callable[[pd.Series, pd.Series, dict[str, float]], pd.Series],
) -> pd.Series:
    """The part of each file that is not left out already.

    Parts that the data set gives are kept. Those that it lacks are drawn from the images that it
    gives no part, or else from those for training. Where an image that must stay with others is
    given another part than they are, the test part keeps its own, then the validation part, and
    what they displace is left out.

    Args:
        files: a row for each, with str label, str part (the given one: train, valid, test or
            empty), and float place, equal for files that must stay together.
        left_out: str (n,), empty, or why a file is left out.
        shares: of each part, in any proportion.
        draw: gives parts to the images that have none: `draw_parts`, or another function like it.

    Returns:
        str (n,), train, valid, test or why a file is left out. Where too many images must stay
        together, a part may have none.
    """
    given, place = files["part"], files["place"]
    part, free = left_out.copy(), left_out == ""
    kept = set(given[free]) - {""}
    if not (given[free] == "").any():
        kept.discard("train")
    for name in ORDER:
        if name in kept:
            together = free & place.isin(place[free & (given == name)])
            stays = given.isin([name, ""])
            part[together & stays] = name
            part[together & ~stays] = f"{LEFT_OUT}the same picture or group is in {name}"
            free &= ~together
    lacking = {name: shares[name] for name in ORDER if name not in kept or name == "train"}
    if free.any():
        part[free] = draw(place[free], files["label"][free], lacking)
    return part


def draw_parts(positions: pd.Series, labels: pd.Series, shares: dict[str, float]) -> pd.Series:
    """The part of each image.

    Args:
        positions: float (n,), from 0 to below 1; equal for images that must stay together.
        labels: str (n,).
        shares: the share of each part, in any proportion; a part that is absent gets no image.

    Returns:
        str (n,), one of the parts in `shares`. Each class has at least one image in each part, as
        long as it has that many different positions and shares none with another class.
    """
    names = [part for part in ORDER if part in shares]
    total = sum(shares[part] for part in names)
    left = {label: set(own) for label, own in positions.groupby(labels)}
    found: dict[float, str] = {}
    edge = 0.0
    # One part after the other is divided from the rest, so that what follows cannot change it.
    for number, part in enumerate(names[:-1], start=1):
        edge += shares[part] / total
        inside = _divide_off(left, edge, len(names) - number)
        found |= dict.fromkeys(inside, part)
        left = {label: own - inside for label, own in left.items()}
    return positions.map(lambda place: found.get(place, names[-1]))


def _divide_off(classes: dict[str, _Places], edge: float, others: int) -> _Places:
    """The positions below `edge`, changed as little as needed for every class to be on both sides.

    Args:
        classes: the positions of each class.
        edge: the upper edge of the part that is divided off.
        others: how many parts the rest will be divided into.
    """
    places = set().union(*classes.values())
    inside = {place for place in places if place < edge}
    outside = places - inside
    # A class with a single position has no last one to lose: it goes where it is learned from.
    several = [own for own in classes.values() if len(own) > 1]
    for _, own in sorted(classes.items()):
        # Of two positions one is for the test and one to train with: none is left to validate with.
        needed = min(others, max(1, len(own) - 1))
        if len(own) > 1 and not own & inside:
            _move_nearest(own, outside, inside, edge, classes.values())
        for _ in range(needed - len(own & outside)):
            _move_nearest(own, inside, outside, edge, several)
    return inside


def _move_nearest(
    own: _Places, source: _Places, target: _Places, edge: float, bound: Iterable[_Places]
) -> None:
    """Moves the nearest position of a class over the edge; no class of `bound` loses its last."""
    left = (other & source for other in bound)
    lasts = set().union(*(places for places in left if len(places) == 1))
    if free := (own & source) - lasts:
        nearest = min(free, key=lambda place: (abs(place - edge), place))
        source.remove(nearest)
        target.add(nearest)
