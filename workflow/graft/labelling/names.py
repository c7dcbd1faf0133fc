"""What names of folders and files say as people use them: parts of a data set, and classes."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from graft.common.classes import catch

# Lists of words in small letters: of parts; of folders that say only that there are pictures; those
# that cameras and programs give to files; and of columns of a CSV.
WORDS = json.loads(Path(__file__).with_name("names.json").read_text(encoding="utf-8"))
PART_WORDS = {word: part for part, words in WORDS["parts"].items() for word in words}
_FILLERS, _CAMERAS = frozenset(WORDS["fillers"]), frozenset(WORDS["cameras"])
# A name is cut into words where letters end, and before a capital letter.
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# What stands before the last number of a file's name; and behind it.
_BEFORE_NUMBER = r"([^/\d][^/]*?)[-_. ()]*\d+[)\]]*\.\w+$"
_BEHIND_NUMBER = r"\d+[-_. ]+([^/\d]+?)[-_. ]*\.\w+$"
# A suggested expression must explain this share of the pictures, with classes of two files or more,
# which make at least this many pictures a class on average.
_EXPLAINED, _A_CLASS = 0.9, 3


class PartName(NamedTuple):
    """The name of a folder that says a part.

    Attributes:
        part: train, valid or test.
        rest: its other words, in their order, but those that say nothing.
    """

    part: str
    rest: tuple[str, ...]


def read_part(name: str) -> PartName | None:
    """The part that a name says, such as `seg_train`, `test1` or `ValidationSet`; None if none."""
    words = [word.lower() for word in _WORD.findall(_HUMP.sub(" ", name))]
    parts = [PART_WORDS[word] for word in words if word in PART_WORDS]
    if len(parts) != 1:
        return None
    rest = (word for word in words if word not in PART_WORDS and word not in _FILLERS)
    return PartName(parts[0], tuple(rest))


def is_filler(name: str, words: Collection[str] = _FILLERS) -> bool:
    """Whether a name says only that there are pictures, such as `images`.

    Args:
        name: of a folder.
        words: those that say nothing else, in small letters.
    """
    found = [word.lower() for word in _WORD.findall(_HUMP.sub(" ", name))]
    return bool(found) and all(word in words for word in found)


def suggest_expression(paths: Iterable[str]) -> tuple[str, list[str]] | None:
    """An expression for the classes that names of files say, such as `cat.0.jpg`; None if none.

    Args:
        paths: of pictures.

    Returns:
        The expression, whose brackets catch the class, and the classes that it finds.
    """
    named = [path for path in paths if re.search(r"[^\W\d_]", PurePosixPath(path).stem)]
    for expression in (_BEFORE_NUMBER, _BEHIND_NUMBER):
        found = Counter(catch(re.compile(expression), path) for path in named)
        classes = {name: count for name, count in found.items() if name and count > 1}
        told = sum(classes.values())
        words = {word.lower() for name in classes for word in _WORD.findall(name)}
        if (
            len(classes) > 1
            and not words <= _CAMERAS
            and told >= _EXPLAINED * len(named)
            and told >= _A_CLASS * len(classes)
        ):
            return expression, sorted(classes)
    return None
