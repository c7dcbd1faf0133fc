"""What does it confuse: the cells of the matrix, an order by likeness, and pairs as sentences."""

from typing import Any

import numpy as np

from graft.report.confusion import mean_probabilities, most_confused, order_alike, tint_cells
from graft.report.reading import ReportedModel, Tested

_WHOLE = 60  # classes, up to which the plain page has the whole matrix
_PART = 24  # classes of the part that it has of a larger one
_PAIRS = 8  # sentences


def summarise_matrix(tested: Tested) -> dict[str, Any]:
    """What the section shows.

    Args:
        tested: the models on the test part.

    Returns:
        order: the classes, alike ones together; whole: whether the plain table has all of them;
        and by model: cells, from `list_cells`, for the script; pairs, the first of
        `describe_pairs_of_classes`, and how many there are; shown, the classes of the plain table;
        and rows, the counts of these by true class with their tints, and what is beside them.
    """
    # How far classes are taken for each other, by the chosen model.
    likeness = mean_probabilities(tested.chosen.probabilities, tested.labels, len(tested.classes))
    return {
        "order": order_alike(likeness),
        "whole": len(tested.classes) <= _WHOLE,
        "models": {model.key: _summarise_model(model) for model in tested.models},
    }


def list_cells(counts: np.ndarray) -> list[int]:
    """Row, column and count of every cell that is not 0, in one list."""
    rows, columns = np.nonzero(counts)
    return np.column_stack([rows, columns, counts[rows, columns]]).ravel().tolist()


def describe_pairs_of_classes(counts: np.ndarray) -> list[dict[str, Any]]:
    """The classes that are taken one for the other most, in both directions.

    Args:
        counts: int (n, n), rows true and columns predicted.

    Returns:
        Of each pair `one` and `other`, of which the first is mistaken more often; `there`, how many
        images of the first were taken for the second, `back`, the reverse; and `of_one` and
        `of_other`, how many images both have.
    """
    totals, found = counts.sum(1), {}
    for row, column, count, _ in most_confused(counts):
        if (column, row) not in found:
            found[row, column] = {
                "one": row,
                "other": column,
                "there": count,
                "back": int(counts[column, row]),
                "of_one": int(totals[row]),
                "of_other": int(totals[column]),
            }
    return sorted(found.values(), key=lambda pair: -(pair["there"] + pair["back"]))


def choose_part(counts: np.ndarray, limit: int = _WHOLE, part: int = _PART) -> list[int]:
    """The classes that the plain table shows: all of few, of many those most confused by twos."""
    n = len(counts)
    if n <= limit:
        return list(range(n))
    shown: set[int] = set()
    for row, column, *_ in most_confused(counts):
        if len(shown | {row, column}) <= part:
            shown |= {row, column}
    return sorted(shown) or list(range(part))


def _summarise_model(model: ReportedModel) -> dict[str, Any]:
    shown = choose_part(model.counts)
    own = model.counts[shown][:, shown]
    beside = model.counts[shown].sum(1) - own.sum(1)
    tints = np.rint(100 * tint_cells(model.counts)[shown][:, shown]).astype(int)
    rows = [
        {"class": i, "cells": [*zip(shown, counts, strengths, strict=True)], "beside": others}
        for i, counts, strengths, others in zip(
            shown, own.tolist(), tints.tolist(), beside.tolist(), strict=True
        )
    ]
    pairs = describe_pairs_of_classes(model.counts)
    return {
        "cells": list_cells(model.counts),
        "pairs": pairs[:_PAIRS],
        "all_pairs": len(pairs),
        "shown": shown,
        "rows": rows,
        "beside": bool(beside.any()),
    }
