"""Tables and JSON between stages: UTF-8, the same bytes for the same content, text unchanged."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# The columns of the CSV of a data set keep their names behind this prefix, so that they hide none
# of the manifest's own.
CSV_PREFIX = "csv_"


def read_table(path: Path | IO[bytes], columns: Collection[str] | None = None) -> "pd.DataFrame":
    """Reads a table whose cells are all text.

    A class may be called `nan`, `NA` or `01`: nothing is guessed.

    Args:
        path: a CSV file that a stage wrote, or its bytes in a file object.
        columns: those to read; all without it. Text takes much memory where there are many images.
    """
    import pandas as pd  # 0.2 s, for which those who read JSON alone need not wait

    # Only "\n" ends a row: a file may be called "Icon\r".
    return pd.read_csv(path, dtype=str, na_filter=False, usecols=columns, lineterminator="\n")


def read_tables(paths: Iterable[Path], columns: Collection[str] | None = None) -> "pd.DataFrame":
    """The rows of several tables, one below the other in the order of `paths`."""
    import pandas as pd

    return pd.concat([read_table(path, columns) for path in paths], ignore_index=True)


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Writes a table as CSV."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads a JSON file that a stage wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Writes plain values as JSON with a line for each."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
