"""Classes and parts: their names, and their one order in models, tables and pictures."""

import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence

from graft.common.errors import nearest, refuse

# The value of `dataset.classes` where no classes are chosen.
ALL_CLASSES = "all"
# The values of the column `part` of the split.
PARTS = ("train", "valid", "test")
# An image in no part has this and the reason instead.
LEFT_OUT = "left out: "
_SHOWN = 20  # class names in an error


def natural(text: str) -> str:
    """The key that sorts `2` before `10`, as people count, and different names differently.

    It is one text and not a list, since there is one for every file of a data set.

    Args:
        text: a name without the character 0, as are all names of files.
    """

    def key(match: re.Match[str]) -> str:
        digits = match[0].lstrip("0")
        # The longer number is the larger, and ends like a shorter name before any other letter.
        return f"\0{chr(min(len(digits), sys.maxunicode))}{digits}\0{match[0]}\0"

    return re.sub("[0-9]+", key, text)


def normal(label: str) -> str:
    """The name of a class as it is compared: in Unicode's form NFC, without blanks around it."""
    composed = unicodedata.normalize("NFC", label)
    return composed.strip() or composed  # a name may be a blank


def catch(pattern: re.Pattern[str], path: str) -> str:
    """What the brackets of an expression catch in a path, or all of its match; empty if nothing."""
    match = pattern.search(path)
    if match is None:
        return ""
    # Brackets that took no part in the match are None.
    return "/".join(text or "" for text in match.groups()) if match.groups() else match[0]


def in_order(labels: Iterable[str], chosen: str | Sequence[str] = ALL_CLASSES) -> tuple[str, ...]:
    """The different names among `labels`: as `dataset.classes` lists them, or in natural order.

    Args:
        labels: names of classes, in any number.
        chosen: `all`, or names in the wanted order. Names that are not among `labels` are
            ignored; labels that are not chosen follow in natural order.
    """
    names = set(labels)
    first = [] if chosen == ALL_CLASSES else [name for name in map(normal, chosen) if name in names]
    return (*first, *sorted(names.difference(first), key=natural))


def choose_classes(labels: Iterable[str], chosen: str | Sequence[str]) -> tuple[str, ...]:
    """The classes that are used, in their order.

    Args:
        labels: names of classes that there are, in any number.
        chosen: the value of `dataset.classes`.

    Raises:
        UserError: a class is chosen that there is not.
    """
    found = in_order(labels)
    if chosen == ALL_CLASSES:
        return found
    for name in map(normal, chosen):
        if name not in found:
            named = ", ".join(map(repr, found[:_SHOWN])) + (", …" if len(found) > _SHOWN else "")
            allowed = f"all, or some of {named}{nearest(name, found, repr)}"
            raise refuse("params.yaml: dataset.classes", allowed, name)
    return tuple(map(normal, chosen))
