"""Give every good image to one part: train, valid or test."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from graft.common.classes import ALL_CLASSES, LEFT_OUT, PARTS, in_order
from graft.common.errors import UserError, refuse
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables, write_json, write_table
from graft.split.assignment import ORDER, WHERE_PATH, assign_parts
from graft.split.leaks import count_leaks, count_parts
from graft.split.units import find_groups, hash_position, number_units, unit_positions

_SHOWN = 20  # class names in an error


@dataclass(frozen=True)
class _Files:
    """All files of the manifest, in its order.

    Attributes:
        manifest: str columns, those of `manifest.csv`.
        reason: str (n,), why a file could not be read; empty for good ones.
        cluster: str (n,), equal for near copies.
        group: str (n,), empty where a file has none.
        unit: int (n,), equal for files that must stay together.
    """

    manifest: pd.DataFrame
    reason: pd.Series
    cluster: pd.Series
    group: pd.Series
    unit: pd.Series


def main(stage: Stage) -> None:
    """Writes `split.csv`: id, path, label, part; a row for each row of the manifest, in its order.

    Beside it, which images belong together (`units.csv`: id, unit), what each class has in each
    part (`parts.csv`), and in `split.json` how many files are where, with the proof that no file,
    picture or group is in two parts.

    Raises:
        UserError: more images are bad than `dataset.max_bad` allows, a class is unknown or too
            small, or a data set that comes divided has nothing to train on.
    """
    files = _read(stage)
    ids, label = files.manifest["id"], files.manifest["label"]
    classes = _find_classes(label, stage["dataset.classes"])
    part, bad = _leave_out(stage, files, classes)
    place = unit_positions(stage["split.seed"], files.unit, ids, files.group)
    shares = {name: stage[f"split.{name}"] for name in ORDER}
    part = assign_parts(part, files.manifest["part"], place, label, shares)
    counts = count_parts(part, label, files.unit, classes)
    summary = _summarise(files, part, bad, counts)
    write_table(
        stage.output("data/split.csv"), files.manifest[["id", "path", "label"]].assign(part=part)
    )
    # A later division of a part must keep together what belongs together.
    units = pd.DataFrame({"id": ids, "unit": files.unit})[part.isin(PARTS)].drop_duplicates("id")
    write_table(stage.output("data/units.csv"), units)
    write_table(stage.output("data/parts.csv"), counts)
    write_json(stage.output("reports/split.json"), summary)
    for row in counts[counts["images"] == 0].itertuples():
        print(f"split: warning: no image of class {row.label!r} in {row.part}", file=sys.stderr)
    print("split:", ", ".join(f"{summary[n]} {n}" for n in (*PARTS, "left_out", "quarantined")))


def _read(stage: Stage) -> _Files:
    manifest = read_table(stage.input("data/manifest.csv"))
    checked = read_tables(stage.inputs("data/checked"), ["id", "reason"]).set_index("id")
    near = read_table(stage.input("data/duplicates/clusters.csv")).set_index("id")["cluster"]
    ids = manifest["id"]
    cluster = ids.map(near).fillna(ids)
    group = find_groups(manifest, stage["dataset.group"])
    unit = number_units(ids, cluster, group)
    return _Files(manifest, ids.map(checked["reason"]), cluster, group, unit)


def _leave_out(stage: Stage, files: _Files, classes: Sequence[str]) -> tuple[pd.Series, pd.Series]:
    """Why each file is in no part, empty where it may be in one; and which are quarantined."""
    ids, label = files.manifest["id"], files.manifest["label"]
    part = pd.Series("", ids.index, dtype=str)
    part[(label != "") & ~label.isin(classes)] = LEFT_OUT + "class not chosen"
    _check_bad(files.manifest["path"], files.reason[part == ""], stage["dataset.max_bad"])
    bad = (part == "") & (files.reason != "")
    part[bad] = LEFT_OUT + files.reason[bad]
    if stage["dataset.two_labels"] == "leave_out":
        good = part == ""
        ambiguous = label[good].groupby(files.cluster[good]).transform("nunique") > 1
        part[ambiguous[ambiguous].index] = LEFT_OUT + "the same picture has two labels"
    _check_classes(classes, ids[part == ""].groupby(label[part == ""]).nunique())
    if stage["dataset.per_class"] != "all":
        surplus = _surplus(ids[part == ""], label, stage["dataset.per_class"])
        part[surplus] = LEFT_OUT + "over dataset.per_class"
    return part, bad


def _summarise(
    files: _Files, part: pd.Series, bad: pd.Series, counts: pd.DataFrame
) -> dict[str, int]:
    """What `split.json` says.

    Raises:
        RuntimeError: something is in two parts, which is a bug.
    """
    keys = {"ids": files.manifest["id"], "clusters": files.cluster, "groups": files.group}
    leaks = count_leaks(part, pd.DataFrame(keys))
    if any(leaks.values()):
        raise RuntimeError(f"the split has leaks: {leaks}")
    used = part.isin(PARTS)
    together = files.cluster[used].value_counts()
    return {
        "images": len(part),
        "quarantined": int(bad.sum()),
        "left_out": int((~used & ~bad).sum()),
        **{name: int((part == name).sum()) for name in PARTS},
        "clusters": int((together > 1).sum()),
        "duplicates": int(together[together > 1].sum()),
        "groups": int(files.unit[used].nunique()),
        **leaks,
        "absent": int((counts["images"] == 0).sum()),
    }


def _find_classes(label: pd.Series, chosen: str | Sequence[str]) -> tuple[str, ...]:
    found = in_order(label[label != ""])
    unknown = [name for name in chosen if name not in found] if chosen != ALL_CLASSES else []
    if unknown:
        named = ", ".join(map(repr, found[:_SHOWN])) + (", …" if len(found) > _SHOWN else "")
        raise refuse("params.yaml: dataset.classes", f"all, or some of {named}", unknown[0])
    return found if chosen == ALL_CLASSES else tuple(chosen)


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
        raise refuse(WHERE_PATH, "images of two classes or more", list(counts.index))
    small = counts[counts < len(ORDER)]
    if not small.empty:
        raise refuse(
            f"the readable images of class {small.index[0]!r}",
            f"{len(ORDER)} or more, all different: one for each part",
            int(small.iloc[0]),
        )


def _surplus(ids: pd.Series, label: pd.Series, limit: int) -> pd.Index:
    """The files of each class after its first `limit`, in an order that no other image changes."""
    order = ids.map(lambda id_: hash_position(0, f"per_class {id_}")).sort_values(kind="stable")
    rank = label[order.index].groupby(label[order.index]).cumcount()
    return rank.index[rank >= limit]
