"""Which folders are classes and which are parts: layouts of data sets as people have them.

    photos/                     photos/                       photos/
      cat/ 1.jpg …                seg_train/seg_train/cat/      cat/ train/1.jpg test/2.jpg …
      dog/ 1.jpg …                seg_test/seg_test/cat/        dog/ train/1.jpg test/2.jpg …

Only folders that hold pictures count: what lies in `meta/` or `annotations/` is no class. Folders
that only wrap others are looked through. What cannot be decided is one error, with the commands
that decide it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from graft.common.classes import normal
from graft.labelling.names import WORDS, is_filler, read_part

_Place = tuple[str, ...]
# Folders below each other that are looked at; a path may have thousands.
_DEEPEST = 24
INNERMOST = "folder"  # the value of `dataset.label` for the folder that a file lies in


class Undecided(Exception):
    """Folders may be read in two ways.

    Attributes:
        place: the folder that holds them; empty at the top.
        tops: their names; or the name of one that has folders named like those beside it, or whose
            name is that of no class.
        shared: names of folders that several of them have, or that it has.
    """

    def __init__(self, place: str, tops: list[str], shared: list[str]) -> None:
        super().__init__(place)
        self.place, self.tops, self.shared = place, tops, shared


class Class(NamedTuple):
    """What the folder of a file says.

    Attributes:
        label: the class as it is written.
        part: train, valid or test where the data set comes divided, else empty.
    """

    label: str
    part: str


class Layout(NamedTuple):
    """What the folders of a data set say.

    Attributes:
        classes: of each folder that belongs to one, by its path.
        tops: the paths of the folders in which class folders lie, with the part that each is.
        nested: folders below class folders, such as could be classes of their own.
        strange: parts none of whose class folders is one of the training part, with the names.
    """

    classes: dict[str, Class]
    tops: dict[str, str]
    nested: list[str]
    strange: dict[str, list[str]]


class _Folders:
    """The folders that hold pictures, and those above them.

    Args:
        parents: the path of the folder of each picture.
    """

    def __init__(self, parents: Iterable[str]) -> None:
        self._below: dict[_Place, set[str]] = defaultdict(set)
        self._holding: set[_Place] = set()
        for place in map(split_path, parents):
            self._holding.add(place)
            for depth in range(min(len(place), _DEEPEST)):
                self._below[place[:depth]].add(place[depth])

    def below(self, *place: str) -> list[str]:
        """The names of the folders in a folder, in order."""
        return sorted(self._below.get(place, ()))

    def hold(self, *place: str) -> bool:
        """Whether pictures lie directly in a folder."""
        return place in self._holding

    def unwrap(self, place: _Place, known: Collection[str] = ()) -> _Place:
        """The folder in which several are, below one that may only wrap it.

        Args:
            place: where to begin.
            known: names of classes, which wrap nothing.
        """
        while (names := self.below(*place)) and len(place) < _DEEPEST:
            with_folders = [name for name in names if self.below(*place, name)]
            # `images` beside folders without folders, such as one of pictures to try.
            wraps = len(names) == 1 or is_filler(with_folders[0] if with_folders else "")
            if len(with_folders) != 1 or not wraps or with_folders[0] in known:
                break
            place = (*place, with_folders[0])
        return place

    def find_parts(self, top: _Place) -> dict[str, str]:
        """The part of each folder there that is one; empty where the data set is not divided.

        One class of several may be called `train`. So folders are parts if they are alike but for
        the word, and have folders themselves; others may lie beside them.
        """
        names = self.below(*top)
        alike: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for name in names:
            if found := read_part(name):
                alike[found.rest][name] = found.part
        several = [given for given in alike.values() if len(set(given.values())) > 1]
        if len(several) != 1:
            return {}
        (given,) = several
        deep = {name for name in names if self.below(*top, name)}
        parts_with_folders = {given[name] for name in deep.intersection(given)}
        # Pictures of a test part often have no label.
        inside = [self.below(*self.unwrap((*top, name))) for name in deep]
        one_divided = deep.issubset(given) and any(len(names) > 1 for names in inside)
        return (
            given if len(parts_with_folders) > 1 or one_divided or given.keys() == {*names} else {}
        )

    def find_inner_parts(self, top: _Place) -> bool:
        """Whether the folders there are classes with parts in them: `cat/train`, `cat/test`."""
        parts: set[str] = set()
        for name in self.below(*top):
            inner = self.below(*top, name)
            found = [read_part(part) for part in inner]
            if self.hold(*top, name) or not inner or not all(found):
                return False
            if any(self.below(*top, name, part) for part in inner):
                return False
            parts.update(part.part for part in found)
        return len(parts) > 1

    def find_shared(self, top: _Place) -> list[str]:
        """Names of folders that several of those there have, if these are half of all or more."""
        inner = [self.below(*top, name) for name in self.below(*top)]
        count = Counter(name for names in inner for name in names)
        shared = sorted(name for name, times in count.items() if times > 1)
        return shared if len(shared) > 1 and 2 * len(shared) >= len(count) else []

    def find_odd(self, top: _Place) -> Iterator[tuple[str, list[str]]]:
        """Folders there that are hardly classes, and those of their folders that say so.

        They have folders named like those beside them, or a name such as `images`.
        """
        names = self.below(*top)
        for name in names:
            inner = self.below(*top, name)
            if len(inner) > 1 and set(inner) <= {*names} - {name}:
                yield name, inner
            elif len(names) > 1 and is_filler(name, WORDS["containers"]):
                yield name, []


def read_layout(
    pictured: Collection[str], parents: Iterable[str], level: int | None = None
) -> Layout:
    """The class and the part of each folder.

    Args:
        pictured: the paths of all folders that hold pictures.
        parents: the paths of all folders that hold files.
        level: which folders below the data set or its parts are the classes: 1 for the first, 0 for
            the one that a file lies in; None to find out.

    Raises:
        Undecided: folders may be read in two ways, and no level is given.
    """
    folders = _Folders(pictured)
    top = folders.unwrap(())
    given = folders.find_parts(top)
    inner = not given and folders.find_inner_parts(top)
    if given:
        tops = _unwrap_parts(folders, {(*top, name): part for name, part in given.items()})
    else:
        # A part alone, such as `train` beside pictures to try, is looked through.
        alone = _find_alone(folders, top)
        tops = {folders.unwrap(alone) if alone else top: ""}
    if level is None and not inner:
        for place in tops:
            if shared := folders.find_shared(place):
                raise Undecided("/".join(place), folders.below(*place), shared)
            for name, shared in folders.find_odd(place):
                raise Undecided("/".join(place), [name], shared)
    strange = _find_strange(folders, tops)
    known = {place: set(folders.below(*place)) for place in tops}
    classes = {}
    for parent in parents:
        names = split_path(parent)
        place = next((names[:n] for n in range(len(names)) if names[:n] in tops), None)
        own = names[len(place or ()) :]
        if place is None or own[0] not in known[place] or tops[place] in strange:
            continue
        label = own[min(level or (1 if level is None else len(own)), len(own)) - 1]
        part = tops[place]
        if inner and len(own) > 1:
            label, part = (label if level else own[0]), read_part(own[1]).part
        classes[parent] = Class(label, part)
    nested = [] if inner or level is not None else list(_find_nested(folders, tops))
    return Layout(classes, {"/".join(place): part for place, part in tops.items()}, nested, strange)


def split_path(path: str) -> _Place:
    """The names in the path of a folder; none for the top."""
    return tuple(path.split("/")) if path else ()


def _unwrap_parts(folders: _Folders, parts: dict[_Place, str]) -> dict[_Place, str]:
    """The folders in which the classes of each part lie."""
    bare = {place: folders.unwrap(place) for place in parts}
    found = {}
    for place, part in parts.items():
        others = (other for other in bare if other != place)
        known = {name for other in others for name in folders.below(*bare[other])}
        found[folders.unwrap(place, known)] = part
    return found


def _find_alone(folders: _Folders, top: _Place) -> _Place:
    deep = [name for name in folders.below(*top) if len(folders.below(*top, name)) > 1]
    flat = [name for name in folders.below(*top) if not folders.below(*top, name)]
    is_alone = len(deep) == 1 and flat and len(flat) + 1 == len(folders.below(*top))
    return (*top, deep[0]) if is_alone and read_part(deep[0]) else ()


def _find_strange(folders: _Folders, tops: dict[_Place, str]) -> dict[str, list[str]]:
    """Parts with folders that the training part does not have, such as `test/unknown`."""
    names: dict[str, set[str]] = defaultdict(set)
    for place, part in tops.items():
        names[part].update(normal(name.casefold()) for name in folders.below(*place))
    if not names.get("train"):
        return {}
    return {
        part: sorted(found)
        for part, found in names.items()
        if part != "train" and found and found.isdisjoint(names["train"])
    }


def _find_nested(folders: _Folders, tops: dict[_Place, str]) -> Iterator[str]:
    for place in tops:
        inner = {name: folders.below(*place, name) for name in folders.below(*place)}
        # One folder in a class says nothing; several in most of them may be finer classes.
        several = [name for name, below in inner.items() if len(below) > 1]
        if several and 2 * len(several) >= len(inner):
            yield from ("/".join((*place, name, inner[name][0])) for name in several)
