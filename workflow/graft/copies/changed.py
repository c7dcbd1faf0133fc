"""Copies that were mirrored, turned or enlarged: which join the sets, and what is said of them.

Such copies come from programs that make more pictures of few. Where a picture is in the training
part and its copy in the test part, the model is measured by what it has learned from.
"""

from collections.abc import Iterator

import numpy as np

from graft.common.cautions import Caution
from graft.copies.large import find_large
from graft.copies.similarity import join_pairs
from graft.registration.changes import Changed

# A person is told of changed copies that are more than this fraction of the pictures.
_NOTED = 0.02
_NAME = "name what belongs together by dataset.group"


def join_changed(
    sets: np.ndarray, changed: Changed, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Joins the sets of changed copies, unless that makes a large set of them.

    Where all pictures of a kind are drawn alike, such as arrows in all directions, each of them is
    another one turned. Then there would be nothing to learn from, or to be measured by.

    Args:
        sets: int64 (n,), equal for pictures of one set.
        changed: pairs of different sets that are one picture.
        labels: str (n,); empty where a picture has none.

    Returns:
        int64 (n,), equal for pictures of one set; and bool (pairs,), which pairs have joined.
    """
    joined = _merge(sets, changed.pairs)
    before = find_large(sets, labels)
    large = np.setdiff1d(find_large(joined, labels), joined[np.isin(sets, before)])
    kept = ~np.isin(joined[changed.pairs[:, 0]], large)
    return _merge(sets, changed.pairs[kept]), kept


def _merge(sets: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    return join_pairs(sets[pairs], int(sets.max(initial=-1)) + 1)[sets]


def explain_changed(
    before: np.ndarray, after: np.ndarray, changed: Changed, kept: np.ndarray, paths: np.ndarray
) -> Iterator[Caution]:
    """Warnings of changed copies: of many that were found, and of those that are none.

    Args:
        before: int64 (n,), equal for pictures of one set without changed copies.
        after: the same, with them.
        changed: the pairs that were found.
        kept: bool (pairs,), which of them have joined.
        paths: str (n,).
    """
    # Of each set that is new, all but one of the sets that it is made of.
    copies = len(np.unique(before)) - len(np.unique(after))
    if copies > _NOTED * len(paths):
        yield Caution(
            f"{copies:,} of {len(paths):,} pictures are mirrored, turned or enlarged copies of"
            f" others, such as {_name_first(changed, kept, paths)}. They stay in one part with what"
            " they were made of. A copy that was not found may be in another part, and what is"
            f" measured is then too good: {_NAME}"
        )
    if not kept.all():
        yield Caution(
            f"pictures that lie on each other once they are mirrored, turned or enlarged, such as"
            f" {_name_first(changed, ~kept, paths)}, count as different, since too many do. If they"
            f" are copies, {_NAME}"
        )


def _name_first(changed: Changed, which: np.ndarray, paths: np.ndarray) -> str:
    first = int(np.flatnonzero(which)[0])
    one, other = paths[changed.pairs[first]]
    return f"{one!r} and {other!r} ({changed.changes[first]})"
