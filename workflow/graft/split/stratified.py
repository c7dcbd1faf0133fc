"""The division of small sets: each class has its exact share of each part.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, doi:10.1007/978-3-642-23808-6_10)
gives one image after the other to the part that lacks most of its labels. Here whole units are
given, the largest first, as StratifiedGroupKFold of scikit-learn does it: small ones fill what
large ones leave. That class makes folds of equal size, so it cannot serve for unequal shares.

Where a unit suits several parts equally, its position chooses, so that a large one is as likely to
be in any part as a small one. The price of exact shares: what is added can move others.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import pandas as pd

from graft.split.assignment import ORDER

# Where a class of few units is needed, the most needed part first.
_NEEDED = ("train", "test", "valid")
# Deviations are compared in whole numbers, which no rounding makes go round in circles.
_WHOLE = 2**40
# Counts as one more class, so that the parts have their shares too. No name has this character.
_ALL = "\0"
_Counts: TypeAlias = dict[str, int]


def draw_exactly(positions: pd.Series, labels: pd.Series, shares: dict[str, float]) -> pd.Series:
    """The part of each image, so that the shares of each class are as exact as its units allow.

    Args:
        positions: float (n,), from 0 to below 1; equal for images that must stay together.
        labels: str (n,).
        shares: the share of each part, in any proportion; a part that is absent gets no image.

    Returns:
        str (n,), one of the parts in `shares`. Of a class whose images are all alone each part has
        its share, rounded by largest remainders, but at least one image. Any class is in train,
        if there is such a part. A class that shares no unit with another is in test, too, if it has
        two units, and in all parts if it has three.
    """
    units: dict[float, _Counts] = {}
    for (place, label), count in labels.groupby([positions, labels]).size().items():
        units.setdefault(place, {})[label] = int(count)
    division = _Division(units, shares)
    smallest = sorted(units, key=lambda place: (sum(units[place].values()), -place))
    for place in reversed(smallest):
        division.put(place)
    # A pass moves single units, small ones first, since these change least.
    while not division.is_exact() and sum(map(division.improve, smallest)):
        pass
    return positions.map(division.parts)


class _Division:
    """Units in parts, and how far the classes are from their shares.

    Attributes:
        parts: of each unit that was put into one, by its position.
    """

    def __init__(self, units: Mapping[float, _Counts], shares: Mapping[str, float]) -> None:
        self.parts: dict[float, str] = {}
        self._names, self._shares = [name for name in ORDER if name in shares], shares
        self._wanted = _count_wanted(units.values(), shares)
        own = self._wanted.values()
        self._wanted[_ALL] = {name: sum(one[name] for one in own) for name in self._names}
        self._units = {place: unit | {_ALL: sum(unit.values())} for place, unit in units.items()}
        # An image of a small class weighs more, as in StratifiedGroupKFold.
        self._weights = {label: _WHOLE // sum(own.values()) for label, own in self._wanted.items()}
        self._have = {label: dict.fromkeys(self._names, 0) for label in self._wanted}

    def put(self, place: float) -> None:
        """Puts a unit where its classes get nearest to their shares."""
        unit, drawn = self._units[place], self._draw(place)

        def judge(name: str) -> tuple[int, bool, int]:
            lacking = sum(self._wanted[label][name] - self._have[label][name] for label in unit)
            return self._judge(unit, name)[-1], name != drawn, -lacking

        self._add(place, min(self._names, key=judge), 1)

    def improve(self, place: float) -> bool:
        """Moves a unit to a part where it serves better: whether there is one."""
        unit, own = self._units[place], self.parts[place]
        self._add(place, own, -1)
        best = min(self._names, key=lambda name: (self._judge(unit, name), name != own))
        self._add(place, best, 1)
        return best != own

    def is_exact(self) -> bool:
        """Whether each class has its shares, so that nothing can be improved."""
        return self._have == self._wanted

    def _draw(self, place: float) -> str:
        """The part in whose share a position lies."""
        edge, total = 0.0, sum(self._shares.values())
        for name in self._names:
            edge += self._shares[name] / total
            if place < edge:
                return name
        return self._names[-1]

    def _add(self, place: float, name: str, sign: int) -> None:
        self.parts[place] = name
        for label, count in self._units[place].items():
            self._have[label][name] += sign * count

    def _judge(self, unit: _Counts, name: str) -> tuple[int, int, int]:
        """What a unit changes in a part: classes that train lacks, that others lack, deviations."""
        missing, deviation = 0, 0
        for label, count in unit.items():
            wanted, have = self._wanted[label][name], self._have[label][name]
            missing -= bool(wanted and not have)
            deviation += (abs(have + count - wanted) - abs(have - wanted)) * self._weights[label]
        return (missing, 0, deviation) if name == "train" else (0, missing, deviation)


def _count_wanted(
    units: Iterable[_Counts], shares: Mapping[str, float]
) -> dict[str, dict[str, int]]:
    """How many images of each class each part should have: its share, by largest remainders.

    Equal remainders go to the part that has got least so far, so that they do not add up.
    """
    images, numbers = Counter[str](), Counter[str]()
    for unit in units:
        images.update(unit)
        numbers.update(unit.keys())
    found, short = {}, dict.fromkeys(shares, 0.0)
    for label in sorted(images):
        # A class has one unit at least in each of these.
        names = [name for name in _NEEDED if name in shares][: numbers[label]]
        total = sum(shares[name] for name in names)
        # Rounded, since 0.29 · 100 is not quite 29.
        exact = {name: round(images[label] * shares[name] / total, 9) for name in names}
        count = dict.fromkeys(shares, 0) | {name: math.floor(exact[name]) for name in names}
        rest = {name: round(exact[name] - count[name], 6) for name in names}
        first = sorted(names, key=lambda name: (-rest[name], -round(short[name], 6)))
        for name in first[: images[label] - sum(count.values())]:
            count[name] += 1
        for name in names:
            if not count[name]:
                count[max(names, key=count.__getitem__)] -= 1
                count[name] = 1
        found[label] = count
        for name in names:
            short[name] += exact[name] - count[name]
    return found
