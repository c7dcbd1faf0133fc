"""Give every good image to one part: train, valid or test.

An image keeps its part when others are added. A rule with that property may look at nothing but the
image itself, so the part follows from a seeded hash of its id, and the shares of the parts hold in
each class as they do for a coin that is thrown for every image: within about √(n·share), not
exactly. Only where chance leaves a class out of a part is the image with the nearest hash moved
there. Images of one group, and equal files, share a hash and so a part. Changing the shares of
train and valid moves no image into or out of test.
"""

import hashlib

import pandas as pd

from graft import tables
from graft.errors import UserError, refuse
from graft.parts import LEFT_OUT
from graft.stage import Stage

# A part that comes earlier is drawn from all images, whatever the shares of the later ones.
ORDER = ("test", "valid", "train")


def position(seed: int, key: str) -> float:
    """Where an image or a group stands between 0 and 1: uniform over keys, fixed for one."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


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
    for _, own in sorted(classes.items()):
        if not own & inside:
            _move_nearest(own, outside, inside, edge, classes)
        for _ in range(others - len(own & outside)):
            _move_nearest(own, inside, outside, edge, classes)
    return inside


def _move_nearest(
    own: set[float],
    source: set[float],
    target: set[float],
    edge: float,
    classes: dict[str, set[float]],
) -> None:
    """Moves the nearest position of a class over the edge, unless a class has its last there."""
    free = [
        place
        for place in own & source
        if all(len(other & source) > 1 for other in classes.values() if place in other)
    ]
    if free:
        nearest = min(free, key=lambda place: (abs(place - edge), place))
        source.remove(nearest)
        target.add(nearest)


def main(arguments: list[str]) -> None:
    """Writes `split.csv`: id, path, label, part; a row for each row of the manifest, in its order.

    Raises:
        UserError: more images are bad than `dataset.max_bad` allows, a class is too small, or a
            data set that comes divided has nothing to train on.
    """
    stage = Stage("split", arguments)
    manifest = tables.read(stage.input("manifest_csv"))
    checked = tables.read_all(stage.inputs("tensors_csv")).set_index("id")
    status = manifest["id"].map(checked["status"])
    reason = manifest["id"].map(checked["reason"])
    bad = status != "ok"
    if bad.mean() > stage["dataset.max_bad"]:
        reasons = "; ".join(f"{count} {text}" for text, count in reason[bad].value_counts().items())
        raise UserError(
            f"{bad.sum()} of {len(bad)} files cannot be read ({reasons}), more than the fraction"
            f" dataset.max_bad: {stage['dataset.max_bad']}."
            f" The first: {manifest['path'][bad].iloc[0]!r}"
        )
    ambiguous = manifest.groupby("id")["label"].transform("nunique") > 1
    parts = pd.Series("", manifest.index)
    parts[ambiguous] = LEFT_OUT + "the same picture has two labels"
    parts[bad] = LEFT_OUT + reason[bad]
    good = manifest[~bad & ~ambiguous]
    _check_classes(manifest, good)
    keys = good["group"].where(good["group"] != "", good["id"])
    positions = keys.map(lambda key: position(stage["split.seed"], key))
    shares = {part: stage[f"split.{part}"] for part in ORDER}
    for given, rows in good.groupby("part"):
        # A data set that comes divided keeps its parts; those that it lacks are drawn from train.
        present = set(good["part"]) - {"", "train"} if given else set()
        mine = (
            {p: shares[p] for p in ORDER if p not in present}
            if given in ("", "train")
            else {given: 1}
        )
        parts[rows.index] = assign(positions[rows.index], rows["label"], mine)
    absent = [part for part in ORDER if not (parts == part).any()]
    if absent:
        # Only a data set that comes divided, with nothing to train on, can lack one.
        allowed = "a data set with images for train, valid and test"
        raise refuse("params.yaml: dataset.path", allowed, f"none for {absent[0]}")
    tables.write(
        stage.output("split_csv"),
        pd.DataFrame({**{c: manifest[c] for c in ("id", "path", "label")}, "part": parts}),
    )


def _check_classes(manifest: pd.DataFrame, good: pd.DataFrame) -> None:
    counts = good.groupby("label")["id"].nunique().reindex(manifest["label"].unique(), fill_value=0)
    if len(counts) < 2:
        raise refuse(
            "params.yaml: dataset.path", "images of two classes or more", list(counts.index)
        )
    small = counts[counts < len(ORDER)]
    if not small.empty:
        raise refuse(
            f"the readable images of class {small.index[0]!r}",
            f"{len(ORDER)} or more, all different: one for each part",
            int(small.iloc[0]),
        )
