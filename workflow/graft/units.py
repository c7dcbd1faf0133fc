"""Which images must stay together: copies, near copies, and what users call a group."""

import hashlib
import re

import numpy as np
import pandas as pd

from graft.errors import refuse
from graft.labels import PREFIX
from graft.similarity import join

WHERE = "params.yaml: dataset.group"
AUTO, NONE = "auto", "none"


def groups(manifest: pd.DataFrame, rule: str) -> pd.Series:
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
    if rule == NONE:
        return pd.Series("", manifest.index, dtype=str)
    if rule in (AUTO, "group"):
        found = manifest["group"]
    elif PREFIX + rule in manifest:
        found = manifest[PREFIX + rule]
    else:
        pattern = re.compile(rule)
        found = manifest["path"].map(lambda path: _caught(pattern.search(path))).astype(str)
    if rule != AUTO and not (found != "").any():
        columns = [name.removeprefix(PREFIX) for name in manifest if name.startswith(PREFIX)]
        named = f"a column of the CSV ({', '.join(columns)})" if columns else "a column of a CSV"
        example = repr(manifest["path"].iloc[0])  # no manifest is empty
        allowed = (
            f"auto, none, {named}, or a regular expression that matches paths such as {example}"
        )
        raise refuse(WHERE, allowed, rule)
    return found


def _caught(match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    # Brackets that took no part in the match are None.
    return "/".join(text or "" for text in match.groups()) if match.groups() else match[0]


def units(ids: pd.Series, clusters: pd.Series, groups: pd.Series) -> pd.Series:
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
    return pd.Series(join(np.concatenate(pairs), width)[:n], ids.index)


def position(seed: int, key: str) -> float:
    """Where an image or a group stands between 0 and 1: uniform over keys, fixed for one."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, salt=seed.to_bytes(16, "little"))
    return int.from_bytes(digest.digest(), "little") / 2**64


def positions(seed: int, units: pd.Series, ids: pd.Series, groups: pd.Series) -> pd.Series:
    """Where each file stands between 0 and 1: that of its group, or of itself if it has none.

    Where a unit joins several of them, one speaks for all: the first by another hash, so that a
    large unit is as likely to stand anywhere as a small one, and other images can come and go.

    Returns:
        float64 (n,), equal within a unit and different between units.
    """
    keys = groups.where(groups != "", ids)
    own = keys.map({key: position(seed, key) for key in keys.unique()}).astype(float)
    rank = keys.map({key: position(0, f"speaks {key}") for key in keys.unique()}).astype(float)
    return own.loc[rank.groupby(units).transform("idxmin")].set_axis(ids.index)
