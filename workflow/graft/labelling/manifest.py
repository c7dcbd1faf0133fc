"""List every file with its label and a hash of its bytes."""

from collections.abc import Iterator

import pandas as pd

from graft.common.cautions import write_warnings
from graft.common.stage import Stage
from graft.common.tables import write_table
from graft.images import files
from graft.labelling.labels import Label
from graft.labelling.listing import LabelledFiles, list_labelled

_COLUMNS = ["id", "path", "label", "by_hand", "group", "part", "shard", "reason"]
_FAR = 4  # times the files that a shard is made for, above which it is said


def main(stage: Stage) -> None:
    """Writes `manifest.csv`: a row a file, in natural order of the paths.

    Its columns are id, path, label, by_hand, group, part, shard and reason, and the other columns
    of a CSV, with `csv_` before their names. By_hand is `yes` where the label is by a correction.
    Group and part are empty where the source does not give them. Reason says why a file's bytes
    cannot be had. The label is empty where a correction leaves the file out, or its path is
    hostile. The shard follows from the id, so that equal files share a shard and an added image
    moves no other. `warnings/manifest.json` says what was passed over.

    Raises:
        UserError: the source cannot be read, there is nothing in it, it is not clear which label
            a file has, or the corrections are not of their form.
    """
    where = stage["dataset.corrections"]
    corrections = stage.input(where).read_bytes(), where
    path, rule = stage["dataset.path"], stage["dataset.label"]
    found = list_labelled(path, rule, "manifest", corrections=corrections)
    shards = int(stage.options["shards"])
    rows = list(_rows(found, shards))
    names = {row[2] for row in rows} - {""}
    more = next(iter(found.labels.values())).more
    write_table(stage.output("data/manifest.csv"), pd.DataFrame(rows, columns=[*_COLUMNS, *more]))
    write_warnings(stage, "data/warnings/manifest.json", found.cautions)
    ignored = len(found.files) - len(rows)
    note = f"; {ignored} outside the class folders ignored" if ignored else ""
    corrected = found.corrected
    if corrected.decided or corrected.left_out:
        note += f"; by {where}, labels changed: {corrected.changed}, left out: {corrected.left_out}"
    if len(rows) > _FAR * files.SHARD_FILES * shards:
        note += f"; {len(rows) // shards:,} a shard: `graft use --shards auto` makes more of them"
    print(f"manifest: {len(rows)} files in {len(names)} classes{note}")


def _rows(found: LabelledFiles, shards: int) -> Iterator[tuple]:
    """The rows of the manifest: of files with a label, and of those with a hostile path."""
    none = dict.fromkeys(next(iter(found.labels.values())).more, "")
    for file in filter(found.is_listed, found.files):
        said = found.labels.get(file.path, Label(""))
        by_hand = "yes" if file.path in found.corrected.decided else ""
        facts = said.label, by_hand, said.group, said.part
        shard = int(file.id, 16) % shards
        yield (file.id, file.path, *facts, shard, file.problem, *(none | said.more).values())
