"""Tables between stages: CSV in UTF-8, the same bytes for the same rows, text left as it is."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO

import pandas as pd

from graft.atomic import whole


def read(path: Path | IO[bytes], columns: Collection[str] | None = None) -> pd.DataFrame:
    """Reads a table whose cells are all text.

    A class may be called `nan`, `NA` or `01`: nothing is guessed.

    Args:
        path: a CSV file that a stage wrote, or its bytes in a file object.
        columns: those to read, all without: text takes much memory where there are many images.
    """
    return pd.read_csv(
        path,
        dtype=str,
        keep_default_na=False,
        na_filter=False,
        usecols=columns,
        lineterminator="\n",  # only this ends a row: a file may be called "Icon\r"
    )


def read_all(paths: Iterable[Path], columns: Collection[str] | None = None) -> pd.DataFrame:
    """The rows of several tables, one below the other in the order of `paths`."""
    return pd.concat([read(path, columns) for path in paths], ignore_index=True)


def write(path: Path, table: pd.DataFrame) -> None:
    """Writes a table, whole or not at all."""
    with whole(path) as (part,):
        save(part, table)


def save(path: Path, table: pd.DataFrame) -> None:
    """Writes a table to a path that is already a temporary one."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
