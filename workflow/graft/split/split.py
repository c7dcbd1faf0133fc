"""Give every good image to one part: train, valid or test."""

from collections.abc import Sequence

import pandas as pd

from graft.common.cautions import Caution, write_warnings
from graft.common.classes import LEFT_OUT, PARTS, choose_classes
from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.common.tables import read_table, read_tables, write_json, write_table
from graft.split.assignment import ORDER, assign_parts, draw_parts
from graft.split.families import suggest_families
from graft.split.leaks import check_leaks, count_parts
from graft.split.remarks import (
    TWO_LABELS,
    check_classes,
    check_parts,
    check_seen,
    explain_absent,
    explain_blank,
    explain_conflicts,
    explain_equal,
    explain_few,
    is_small,
)
from graft.split.stratified import draw_exactly
from graft.split.units import find_groups, hash_position, number_units, unit_positions

# By `split.kind`.
_DRAWS = {"hash": draw_parts, "stratified": draw_exactly}


def main(stage: Stage) -> None:
    """Writes `split.csv`: id, path, label, part; a row for each row of the manifest, in its order.

    Beside it, which images belong together (`units.csv`: id, unit), what each class has in each
    part (`parts.csv`), and in `split.json` how many files are where, with the proof that no file,
    picture or group is in two parts.

    Raises:
        UserError: more images are bad than `dataset.max_bad` allows, a class is unknown or too
            small, a part would have no image, or the test part those of one class alone.
    """
    files = _read(stage)
    classes = choose_classes(set(files["label"]) - {""}, stage["dataset.classes"])
    left_out = _leave_out(stage, files, classes)
    shares = {name: stage[f"split.{name}"] for name in ORDER}
    draw = _DRAWS[stage["split.kind"]]
    part = assign_parts(files, left_out, shares, draw)
    counts = count_parts(files.assign(part=part), classes)
    # Exact shares are the remedy that warnings offer, if there is something to remedy.
    exact = part
    if draw is not draw_exactly and is_small(counts):
        exact = assign_parts(files, left_out, shares, draw_exactly)
    files = files.rename(columns={"part": "given"}).assign(part=part, exact=exact)
    free = files[left_out == ""]
    levels = read_table(stage.input("data/duplicates/large.csv")).set_index("cluster")["level"]
    check_parts(free, levels)
    summary = _summarise(files, counts)
    write_table(stage.output("data/split.csv"), files[["id", "path", "label", "part"]])
    # A later division of a part must keep together what belongs together.
    units = files[files["part"].isin(PARTS)].drop_duplicates("id")
    write_table(stage.output("data/units.csv"), units[["id", "unit"]])
    write_table(stage.output("data/parts.csv"), counts)
    write_json(stage.output("reports/split.json"), summary)
    cautions = [*explain_blank(files), *explain_equal(files), *explain_few(free)]
    cautions += explain_absent(free, counts, levels)
    if stage["dataset.two_labels"] == "leave_out":
        cautions += map(Caution, explain_conflicts(files[files["part"].isin(PARTS)]))
    if stage["dataset.group"] == "auto":
        cautions += suggest_families(free)
    write_warnings(stage, "data/warnings/split.json", cautions)
    print("split:", ", ".join(f"{summary[n]} {n}" for n in (*PARTS, "left_out", "quarantined")))


def _read(stage: Stage) -> pd.DataFrame:
    """The manifest with more columns, and others in place of its own.

    Returns:
        n rows with the columns of `manifest.csv`, str; of these, reason is also given for files
        that cannot be decoded, and group is the one that `dataset.group` asks for. More columns
        are cluster, str, equal for near copies; and unit, int64, and place, float64, equal for
        files that must stay together.
    """
    files = read_table(stage.input("data/manifest.csv"))
    checked = read_tables(stage.inputs("data/checked"), ["id", "reason"]).set_index("id")
    near = dict(read_table(stage.input("data/duplicates/clusters.csv")).to_numpy())
    files["reason"] = files["id"].map(checked["reason"])
    files["cluster"] = files["id"].map(lambda id_: near.get(id_, id_))
    files["group"] = find_groups(files, stage["dataset.group"])
    files["unit"] = number_units(files)
    files["place"] = unit_positions(stage["split.seed"], files)
    return files


def _leave_out(stage: Stage, files: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    """Why each file is in no part, str (n,); empty where it may be in one."""
    ids, label = files["id"], files["label"]
    part = pd.Series("", files.index, dtype=str)
    part[(label == "") & (files["reason"] == "")] = LEFT_OUT + "by dataset.corrections"
    part[(label != "") & ~label.isin(classes)] = LEFT_OUT + "class not chosen"
    _check_bad(files[part == ""], stage["dataset.max_bad"])
    bad = (part == "") & (files["reason"] != "")
    part[bad] = LEFT_OUT + files["reason"][bad]
    if stage["dataset.two_labels"] == "leave_out":
        labels = label[part == ""].groupby(ids).transform("nunique")
        part[labels.index[labels > 1]] = LEFT_OUT + TWO_LABELS
    check_classes(files.assign(part=part), classes)
    if stage["dataset.per_class"] != "all":
        # The order does not depend on other images.
        order = ids[part == ""].map(lambda id_: hash_position(0, f"per_class {id_}"))
        rank = order.groupby(label).rank("first")
        part[rank.index[rank > stage["dataset.per_class"]]] = LEFT_OUT + "over dataset.per_class"
    return part


def _summarise(files: pd.DataFrame, counts: pd.DataFrame) -> dict[str, int]:
    """The content of `split.json`."""
    part, used = files["part"], files["part"].isin(PARTS)
    quarantined = int((part == LEFT_OUT + files["reason"]).sum())
    together = files["cluster"][used].value_counts()
    return {
        "images": len(part),
        "quarantined": quarantined,
        "left_out": int((~used).sum()) - quarantined,
        **{name: int((part == name).sum()) for name in PARTS},
        "clusters": int((together > 1).sum()),
        "duplicates": int(together[together > 1].sum()),
        "groups": files["unit"][used].nunique(),
        **check_leaks(files),
        "absent": int((counts["images"] == 0).sum()),
    }


def _check_bad(files: pd.DataFrame, limit: float) -> None:
    check_seen(files, limit)
    bad = files[files["reason"] != ""]
    if len(bad) > limit * len(files):
        counts = bad["reason"].value_counts()
        reasons = "; ".join(f"{count} {text}" for text, count in counts.items())
        raise UserError(
            f"{len(bad)} of {len(files)} files cannot be read ({reasons}), more than the fraction"
            f" dataset.max_bad: {limit}. The first: {bad['path'].iloc[0]!r}"
        )
