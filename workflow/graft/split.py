"""Give every good image to one part: train, valid or test.

An image keeps its part when others are added. A rule with that property may look at nothing but the
image itself, so the part follows from a seeded hash of its id, and the shares of the parts hold in
each class as they do for a coin that is thrown for every image: within about √(n·share), not
exactly. Only where chance leaves a class out of a part is the image with the nearest hash moved
there. Images of one group, and equal files, share a hash and so a part. Changing the shares of
train and valid moves no image into or out of test.
"""

import json
import sys
from collections.abc import Iterable, Sequence

import pandas as pd

from graft import tables, units
from graft.atomic import whole
from graft.classes import ALL, in_order
from graft.errors import UserError, refuse
from graft.leaks import count_leaks, count_parts
from graft.parts import LEFT_OUT, PARTS
from graft.stage import Stage

WHERE = "params.yaml: dataset.path"
SHOWN = 20  # class names in an error
# A part that comes earlier is drawn from all images, whatever the shares of the later ones.
ORDER = ("test", "valid", "train")


def assign(positions: pd.Series, labels: pd.Series, shares: dict[str, float]) -> pd.Series:
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
        inside = _divide(left, edge, len(names) - number)
        found |= dict.fromkeys(inside, part)
        left = {label: own - inside for label, own in left.items()}
    return positions.map(lambda place: found.get(place, names[-1]))


def _divide(classes: dict[str, set[float]], edge: float, others: int) -> set[float]:
    """The positions below `edge`, changed as little as lets every class lie on both sides.

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
    own: set[float],
    source: set[float],
    target: set[float],
    edge: float,
    bound: Iterable[set[float]],
) -> None:
    """Moves the nearest position of a class over the edge; no class of `bound` loses its last."""
    free = [
        place
        for place in own & source
        if all(len(other & source) > 1 for other in bound if place in other)
    ]
    if free:
        nearest = min(free, key=lambda place: (abs(place - edge), place))
        source.remove(nearest)
        target.add(nearest)


def main(arguments: list[str]) -> None:
    """Writes `split.csv`: id, path, label, part; a row for each row of the manifest, in its order.

    Beside it, which images belong together (`units.csv`: id, unit), what each class has in each
    part (`parts.csv`), and in `split.json` how many files lie where, with the proof that no file,
    picture or group lies in two parts.

    Raises:
        UserError: more images are bad than `dataset.max_bad` allows, a class is unknown or too
            small, or a data set that comes divided has nothing to train on.
    """
    stage = Stage("split", arguments)
    manifest = tables.read(stage.input("manifest_csv"))
    checked = tables.read_all(stage.inputs("tensors_csv"), ["id", "reason"]).set_index("id")
    near = tables.read(stage.input("duplicates_clusters_csv"))
    near = dict(zip(near["id"], near["cluster"], strict=True))
    ids, label = manifest["id"], manifest["label"]
    cluster = ids.map(lambda id_: near.get(id_, id_))
    group = units.groups(manifest, stage["dataset.group"])
    unit = units.units(ids, cluster, group)
    reason = ids.map(checked["reason"])
    chosen = stage["dataset.classes"]
    classes = _classes(label, chosen)

    part = pd.Series("", manifest.index, dtype=str)
    part[(label != "") & ~label.isin(classes)] = LEFT_OUT + "class not chosen"
    _check_bad(manifest["path"], reason[part == ""], stage["dataset.max_bad"])
    bad = (part == "") & (reason != "")
    part[bad] = LEFT_OUT + reason[bad]
    if stage["dataset.two_labels"] == "leave_out":
        good = part == ""
        ambiguous = label[good].groupby(cluster[good]).transform("nunique") > 1
        part[ambiguous[ambiguous].index] = LEFT_OUT + "the same picture has two labels"
    _check_classes(classes, ids[part == ""].groupby(label[part == ""]).nunique())
    if stage["dataset.per_class"] != "all":
        part[_surplus(ids[part == ""], label, stage["dataset.per_class"])] = (
            LEFT_OUT + "over dataset.per_class"
        )
    place = units.positions(stage["split.seed"], unit, ids, group)
    shares = {name: stage[f"split.{name}"] for name in ORDER}
    part = divide(part, manifest["part"], place, label, shares)

    leaks = count_leaks(part, pd.DataFrame({"ids": ids, "clusters": cluster, "groups": group}))
    if any(leaks.values()):
        raise RuntimeError(f"the split has leaks: {leaks}")
    counts = count_parts(part, label, unit, classes)
    absent = counts[counts["images"] == 0]
    for row in absent.itertuples():
        print(f"split: warning: no image of class {row.label!r} in {row.part}", file=sys.stderr)
    used = part.isin(PARTS)
    together = cluster[used].value_counts()
    summary = {
        "images": len(part),
        "quarantined": int(bad.sum()),
        "left_out": int((~used & ~bad).sum()),
        **{name: int((part == name).sum()) for name in PARTS},
        "clusters": int((together > 1).sum()),
        "duplicates": int(together[together > 1].sum()),
        "groups": int(unit[used].nunique()),
        **leaks,
        "absent": len(absent),
    }
    # Whoever divides a part again must keep together what belongs together.
    kept = pd.DataFrame({"id": ids, "unit": unit})[used].drop_duplicates("id")
    outputs = ("split_csv", "units_csv", "parts_csv", "split_json")
    with whole(*(stage.output(name) for name in outputs)) as (one, other, third, fourth):
        tables.save(one, manifest[["id", "path", "label"]].assign(part=part))
        tables.save(other, kept)
        tables.save(third, counts)
        fourth.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    told = ", ".join(f"{summary[name]} {name}" for name in (*PARTS, "left_out", "quarantined"))
    print(f"split: {told}")


def divide(
    part: pd.Series,
    given: pd.Series,
    place: pd.Series,
    label: pd.Series,
    shares: dict[str, float],
) -> pd.Series:
    """The part of each file that is not left out already.

    Parts that the data set gives are kept. Those that it lacks are drawn from the images that it
    gives no part, or else from those for training. Where an image that must stay with others is
    given another part than they are, the test part keeps its own, then the validation part, and
    what they displace is left out.

    Args:
        part: str (n,), empty, or why a file is left out.
        given: str (n,), train, valid, test or empty.
        place: float (n,), equal for files that must stay together.
        label: str (n,).
        shares: of each part, in any proportion.

    Raises:
        UserError: a part would have no image at all.
    """
    part, free = part.copy(), part == ""
    kept = set(given[free]) - {""}
    if not (given[free] == "").any():
        kept.discard("train")
    for name in ORDER:
        if name in kept:
            mine = free & (given == name)
            together = free & place.isin(place[mine])
            part[mine | (together & (given == ""))] = name
            part[together & (given != name) & (given != "")] = (
                f"{LEFT_OUT}the same picture or group is in {name}"
            )
            free &= part == ""
    lacking = {name: shares[name] for name in ORDER if name not in kept or name == "train"}
    if free.any():
        part[free] = assign(place[free], label[free], lacking)
    absent = [name for name in ORDER if not (part == name).any()]
    if absent:
        allowed = "a data set with images for train, valid and test"
        raise refuse(WHERE, allowed, f"none for {absent[0]}")
    return part


def _classes(label: pd.Series, chosen: str | Sequence[str]) -> tuple[str, ...]:
    found = in_order(label[label != ""])
    unknown = [name for name in chosen if name not in found] if chosen != ALL else []
    if unknown:
        named = ", ".join(map(repr, found[:SHOWN])) + (", …" if len(found) > SHOWN else "")
        raise refuse("params.yaml: dataset.classes", f"all, or some of {named}", unknown[0])
    return found if chosen == ALL else tuple(chosen)


def _check_bad(path: pd.Series, reason: pd.Series, limit: float) -> None:
    bad = reason[reason != ""]
    if len(bad) > limit * len(reason):
        reasons = "; ".join(f"{count} {text}" for text, count in bad.value_counts().items())
        raise UserError(
            f"{len(bad)} of {len(reason)} files cannot be read ({reasons}), more than the fraction"
            f" dataset.max_bad: {limit}. The first: {path[bad.index[0]]!r}"
        )


def _check_classes(classes: Sequence[str], counts: pd.Series) -> None:
    counts = counts.reindex(classes, fill_value=0)
    if len(counts) < 2:
        raise refuse(WHERE, "images of two classes or more", list(counts.index))
    small = counts[counts < len(ORDER)]
    if not small.empty:
        raise refuse(
            f"the readable images of class {small.index[0]!r}",
            f"{len(ORDER)} or more, all different: one for each part",
            int(small.iloc[0]),
        )


def _surplus(ids: pd.Series, label: pd.Series, limit: int) -> pd.Index:
    """The files of each class after its first `limit`, in an order that no other image changes."""
    order = ids.map(lambda id_: units.position(0, f"per_class {id_}")).sort_values(kind="stable")
    rank = label[order.index].groupby(label[order.index]).cumcount()
    return rank.index[rank >= limit]
