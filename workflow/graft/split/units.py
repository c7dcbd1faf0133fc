"""Which images must stay together: copies, near copies, and the groups that users name."""

import hashlib
import re

import numpy as np
import pandas as pd

from graft.common.errors import refuse
from graft.common.tables import CSV_PREFIX
from graft.split.similarity import join_pairs

_WHERE = "params.yaml: dataset.group"
_AUTO, _NONE = "auto", "none"


def find_groups(manifest: pd.DataFrame, rule: str) -> pd.Series:
    """The group of each file; empty where it has none.

    Args:
        manifest: str columns path, group and those of a CSV.
        rule: what `dataset.group` says. `auto` takes the column group of a CSV, if there is one;
            `none` makes no groups; the name of a column takes that one; all else is a regular
            expression that is searched for in each path, and what its brackets catch, or all of the
            match, is the group.

    Returns:
        str (n,).

    Raises:
        UserError: the expression matches no path, or the column is empty.
    """
    if rule == _NONE:
        return pd.Series("", manifest.index, dtype=str)
    if rule in (_AUTO, "group"):
        found = manifest["group"]
    elif CSV_PREFIX + rule in manifest:
        found = manifest[CSV_PREFIX + rule]
    else:
        pattern = re.compile(rule)
        found = manifest["path"].map(lambda path: _caught(pattern.search(path))).astype(str)
    if rule != _AUTO and not (found != "").any():
        columns = [
            name.removeprefix(CSV_PREFIX) for name in manifest if name.startswith(CSV_PREFIX)
        ]
        named = f"a column of the CSV ({', '.join(columns)})" if columns else "a column of a CSV"
        example = repr(manifest["path"].iloc[0])  # no manifest is empty
        allowed = (
            f"auto, none, {named}, or a regular expression that matches paths such as {example}"
        )
        raise refuse(_WHERE, allowed, rule)
    return found


def _caught(match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    # Brackets that took no part in the match are None.
    return "/".join(text or "" for text in match.groups()) if match.groups() else match[0]


def number_units(ids: pd.Series, clusters: pd.Series, groups: pd.Series) -> pd.Series:
    """Numbers the sets of files that must stay together, directly or through others.

    Args:
        ids: str (n,); equal files have equal ids.
        clusters: str (n,); equal for near copies.
        groups: str (n,); empty where a file has no group.

    Returns:
        int64 (n,), equal for files of one unit; the index is that of `ids`.
    """
    n, width = len(ids), len(ids)
    pairs = []
    for names in (ids, clusters, groups.where(groups != "")):
        codes, found = pd.factorize(names)  # -1 where there is none
        known = np.flatnonzero(codes >= 0)
        pairs.append(np.stack([known, width + codes[known]], 1))
        width += len(found)
    return pd.Series(join_pairs(np.concatenate(pairs), width)[:n], ids.index)


def hash_position(seed: int, key: str) -> float:
    """The position of an image or a group between 0 and 1: uniform over keys, fixed for each."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


def unit_positions(seed: int, units: pd.Series, ids: pd.Series, groups: pd.Series) -> pd.Series:
    """The position of each file between 0 and 1: that of its group, or its own if it has none.

    A unit with several positions takes one of them: that of its first member by another hash, so
    that a large unit is as likely to be anywhere as a small one, and other images can come and go.

    Returns:
        float64 (n,), equal within a unit and different between units.
    """
    keys = groups.where(groups != "", ids)
    own = keys.map({key: hash_position(seed, key) for key in keys.unique()}).astype(float)
    rank = keys.map({key: hash_position(0, f"speaks {key}") for key in keys.unique()}).astype(float)
    return own.loc[rank.groupby(units).transform("idxmin")].set_axis(ids.index)
