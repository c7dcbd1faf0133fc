"""Which images must stay together: copies, near copies, and the groups that users name."""

import hashlib
import re

import numpy as np
import pandas as pd

from graft.common.classes import catch
from graft.common.errors import refuse
from graft.common.tables import CSV_PREFIX
from graft.split.similarity import join_pairs

# Before a key, for the other hash that says which member of a unit gives it its position.
_ANOTHER = "speaks "


def find_groups(
    manifest: pd.DataFrame, rule: str, where: str = "params.yaml: dataset.group"
) -> pd.Series:
    """The group of each file; empty where it has none.

    Args:
        manifest: str columns path, group and those of a CSV.
        rule: what `dataset.group` says. `auto` takes the column group of a CSV, if there is one;
            `none` makes no groups; the name of a column takes that one; all else is a regular
            expression that is searched for in each path, and what its brackets catch, or all of the
            match, is the group.
        where: what has the rule, in messages.

    Returns:
        str (n,).

    Raises:
        UserError: the expression matches no path, or the column is empty.
    """
    if rule == "none":
        return pd.Series("", manifest.index, dtype=str)
    if rule in ("auto", "group"):
        found = manifest["group"]
    elif CSV_PREFIX + rule in manifest:
        found = manifest[CSV_PREFIX + rule]
    else:
        pattern = re.compile(rule)
        found = manifest["path"].map(lambda path: catch(pattern, path)).astype(str)
    if rule != "auto" and not (found != "").any():
        columns = manifest.filter(regex=f"^{CSV_PREFIX}").columns.str.removeprefix(CSV_PREFIX)
        named = f"the CSV ({', '.join(columns)})" if len(columns) else "a CSV"
        # No manifest is empty.
        regex = f"a regular expression that matches paths such as {manifest['path'].iloc[0]!r}"
        allowed = f"auto, none, a column of {named}, or {regex}"
        raise refuse(where, allowed, rule)
    return found


def number_units(files: pd.DataFrame) -> pd.Series:
    """Numbers the sets of files that must stay together, directly or through others.

    Args:
        files: a row for each, with str id, equal for equal files; str cluster, equal for near
            copies; and str group, empty where a file has none.

    Returns:
        int64 (n,), equal for files of one unit; the index is that of `files`.
    """
    number = pd.Series(np.arange(len(files)), files.index)
    # Each file belongs with the first of its id, its cluster, and its group if it has one.
    firsts = [
        number.groupby(names).transform("first").fillna(number).astype(np.int64)
        for names in (files["id"], files["cluster"], files["group"].where(files["group"] != ""))
    ]
    pairs = np.concatenate([np.stack([number, first], 1) for first in firsts])
    return pd.Series(join_pairs(pairs, len(files)), files.index)


def hash_position(seed: int, key: str) -> float:
    """The position of an image or a group between 0 and 1: uniform over keys, fixed for each."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


def unit_positions(seed: int, files: pd.DataFrame) -> pd.Series:
    """The position of each file between 0 and 1: that of its group, or its own if it has none.

    A unit with several positions takes one of them: that of its first member by another hash, so
    that a large unit is as likely to be anywhere as a small one, and other images can come and go.

    Args:
        seed: of the split.
        files: a row for each, with str id, str group, empty where a file has none, and int unit.

    Returns:
        float64 (n,), equal within a unit and different between units.
    """
    keys = files["group"].where(files["group"] != "", files["id"])
    own, rank = (
        keys.map({key: hash_position(number, before + key) for key in keys.unique()}).astype(float)
        for number, before in ((seed, ""), (0, _ANOTHER))
    )
    return own.loc[rank.groupby(files["unit"]).transform("idxmin")].set_axis(files.index)
