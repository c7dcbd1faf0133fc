"""Decisions of a person on labels: each is written into the corrections at once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from graft.common.errors import UserError, nearest, refuse
from graft.labelling.corrections import Correction, match_corrections, write_corrections
from graft.serving.collection import Collection, Picture, sign_file
from graft.serving.merging import alone_with_corrections, merge_corrections, read_present

# By path, of the files of one picture; None where nothing is said.
_Rows = Mapping[str, Correction | None]


class _Step(NamedTuple):
    """A decision that can be taken back: what was said before it, and by it."""

    picture: Picture
    before: _Rows
    after: _Rows


class Decisions:
    """The corrections of a data set, and which of them were made here and can be taken back."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []
        self._known: tuple[object, dict[str, str]] = (None, {})

    def find(self, collection: Collection) -> dict[str, str]:
        """What the corrections say: the label by the id of the picture, empty if it is left out.

        Pictures whose files differ are not among them.

        Raises:
            UserError: the file is not of its form.
        """
        key = (collection.version, sign_file(collection.corrections))
        if self._known[0] != key:
            found, _ = match_corrections(read_present(collection.corrections), collection.ids)
            pictures = {collection.ids[path] for path in found}
            said = {id_: _labels(found, collection.pictures[id_].paths) for id_ in pictures}
            only = {id_: labels[0] for id_, labels in said.items() if len(set(labels)) == 1}
            self._known = key, only
        return self._known[1]

    def count_steps(self) -> int:
        """How many decisions can be taken back."""
        return len(self._steps)

    def decide(self, collection: Collection, picture: Picture, label: str) -> None:
        """Writes a decision on a picture, and on all files with its bytes.

        Args:
            collection: the data set.
            picture: of it.
            label: a class; its present one says that it was looked at; empty leaves it out.

        Raises:
            UserError: there is no such class, or the file cannot be read or written.
        """
        if label and label not in collection.classes:
            near = nearest(label, collection.classes, repr)
            raise refuse("a label", f"a class of the data set{near}", label)
        with self._changing(collection) as (present, found):
            before = {path: found.get(path) for path in picture.paths}
            old = next(filter(None, before.values()), None)
            more = old.more if old else {}
            row = Correction("", picture.paths[0], picture.id, label, more)
            after = dict.fromkeys(picture.paths, row)
            merged = merge_corrections(present, after, collection.ids)
            write_corrections(collection.corrections, merged)
            self._steps.append(_Step(picture, before, after))

    def take_back(self, collection: Collection) -> str:
        """Takes back the last decision, and writes what was said before it: the picture's id.

        Raises:
            UserError: there is none, or another program has written otherwise since.
        """
        with self._changing(collection) as (present, found):
            if not self._steps:
                raise UserError("nothing is left to take back")
            step = self._steps[-1]
            paths = step.picture.paths
            if _labels(found, paths) != _labels(step.after, paths):
                self._steps.pop()
                raise UserError(
                    f"{collection.corrections} says something else of {paths[0]!r} by now:"
                    " another program has written it, so this decision is not taken back"
                )
            there = {path: row for path, row in step.before.items() if path in collection.ids}
            merged = merge_corrections(present, there, collection.ids)
            write_corrections(collection.corrections, merged)
            self._steps.pop()
        return step.picture.id

    @contextmanager
    def _changing(
        self, collection: Collection
    ) -> Iterator[tuple[list[Correction], dict[str, Correction]]]:
        """The rows of the file, and those by path that match a file; nobody else writes it now."""
        try:
            with alone_with_corrections():
                present = read_present(collection.corrections)
                found, _ = match_corrections(present, collection.ids)
                yield present, found
        except OSError as error:
            where = collection.corrections
            raise UserError(f"{where} cannot be written: {error.strerror}") from None


def _labels(rows: _Rows, paths: tuple[str, ...]) -> list[str | None]:
    """What is said of files: a label, empty if it is left out, None where nothing is said."""
    found = (rows.get(path) for path in paths)
    return [None if row is None else row.label for row in found]
