"""What the pages show of the data set and of the decisions on it, as plain values."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graft.common.classes import PARTS
from graft.serving.collection import Collection, Picture
from graft.serving.doubtful import list_doubts
from graft.serving.nearest_photos import Near

# What may be asked for besides the parts: pictures in none, those that no build has divided yet,
# and those that a person has decided on.
OUT, UNDIVIDED, DECIDED = "out", "undivided", "decided"
CHOICES_OF_PICTURES = (*PARTS, OUT, UNDIVIDED, DECIDED)
MOST_LISTED = 500  # pictures in one answer


class Listing:
    """The data set at one time, in the order in which it is looked through: by class.

    Args:
        collection: the data set.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self._doubts = list_doubts(collection)
        places = {name: place for place, name in enumerate(collection.classes)}
        # Those of no class come last.
        ends = {id_: places.get(_first(p.labels), len(places)) for id_, p in self._all.items()}
        self._ordered = sorted(self._all.values(), key=lambda picture: ends[picture.id])
        self._classes = ends

    @property
    def _all(self) -> Mapping[str, Picture]:
        return self.collection.pictures

    def count(self, said: Mapping[str, str]) -> dict[str, Any]:
        """How many pictures there are, by class and by what may be asked for.

        Args:
            said: by the corrections, as `Decisions.find` has it.
        """
        by_class = Counter(self._classes.values())
        parts = Counter(_side(picture) for picture in self._all.values())
        parts[DECIDED] = len(said)
        return {
            "total": len(self._all),
            "classes": [
                {"name": name, "count": by_class[place]}
                for place, name in enumerate(self.collection.classes)
            ],
            "without": by_class[len(self.collection.classes)],
            "parts": {name: parts[name] for name in CHOICES_OF_PICTURES},
            "decided": len(said),
            "waiting": sum(_waits(self._all[id_], label) for id_, label in said.items()),
            "doubts": len(self._doubts),
        }

    def list_some(
        self, said: Mapping[str, str], class_: int | None, part: str, start: int, count: int
    ) -> dict[str, Any]:
        """Some pictures.

        Args:
            said: by the corrections.
            class_: the number of a class; that after the last is of pictures without one; None for
                all.
            part: one of CHOICES_OF_PICTURES; empty for all.
            start: the first that is listed, of those that are asked for.
            count: how many are listed, at most.
        """
        asked = self._choose(said, part)
        found = [p for p in asked if class_ is None or self._classes[p.id] == class_]
        shown = [describe_picture(p, said) for p in found[start : start + count]]
        return {"total": len(found), "start": start, "pictures": shown}

    def list_queue(self, said: Mapping[str, str]) -> list[dict[str, Any]]:
        """The pictures to look at, the most doubtful first, with why."""
        return [
            describe_picture(self._all[doubt.id], said)
            | {name: getattr(doubt, name) for name in ("kind", "looks_like", "confidence", "wrong")}
            for doubt in self._doubts
        ]

    def list_near(self, near: Sequence[Near], said: Mapping[str, str]) -> list[dict[str, Any]]:
        """Photos that are near another one."""
        return [
            describe_picture(self._all[one.id], said) | {"similarity": round(one.similarity, 3)}
            for one in near
        ]

    def _choose(self, said: Mapping[str, str], part: str) -> Sequence[Picture]:
        rules: dict[str, Callable[[Picture], bool]] = {DECIDED: lambda picture: picture.id in said}
        if not part:
            return self._ordered
        rule = rules.get(part, lambda picture: _side(picture) == part)
        return [picture for picture in self._ordered if rule(picture)]


def describe_picture(picture: Picture, said: Mapping[str, str]) -> dict[str, Any]:
    """A picture as plain values.

    Args:
        picture: of the data set.
        said: by the corrections.
    """
    decided = said.get(picture.id)
    return {
        "id": picture.id,
        "path": picture.paths[0],
        "files": len(picture.paths),
        "labels": picture.labels,
        "part": picture.part,
        "problem": picture.problem,
        "decided": decided,
        "waiting": decided is not None and _waits(picture, decided),
    }


def _waits(picture: Picture, label: str) -> bool:
    """Whether the build that is there does not have a decision yet."""
    return picture.labels != ((label,) if label else ()) or (bool(label) and not picture.by_hand)


def _side(picture: Picture) -> str:
    """Which of CHOICES_OF_PICTURES a picture is in, by its part."""
    return (picture.part if picture.part in PARTS else OUT) if picture.part else UNDIVIDED


def _first(labels: Sequence[str]) -> str | None:
    return labels[0] if labels else None
