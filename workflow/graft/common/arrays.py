"""Arrays in .npy files that are written and read in pieces, in memory that does not grow."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.lib import format as npy

# Rows at once for inference: fixed, since another number may choose another kernel.
INFERENCE_BATCH = 16
# Bytes that are copied at once from one file to another.
_COPIED = 2**22


class RowSource(Protocol):
    """An array, or what reads rows of one when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> np.ndarray:
        """Some rows, by a slice or by int (k,) indices: (as many, …)."""
        ...


def in_batches(rows: RowSource, size: int = INFERENCE_BATCH) -> Iterator[np.ndarray]:
    """Cuts rows into batches of at most `size`, each read when its turn comes."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


class Joined:
    """Several arrays as one, the rows of the first before those of the next.

    Args:
        arrays: one or more, of one dtype and shape of rows; an empty one may have another shape.

    Attributes:
        starts: int64 (arrays + 1,), the first row of each, and how many rows there are.
        none: no row, (0, …), in the dtype and shape of the others.
    """

    def __init__(self, arrays: Sequence[RowSource]) -> None:
        self.arrays = arrays
        self.starts = np.cumsum([0, *map(len, arrays)])
        self.none = max(arrays, key=len)[:0]
        self._rows = np.arange(self.starts[-1])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        """Some rows, copied, by a slice or by int (k,) indices in any order."""
        rows = self._rows[which]
        numbers = np.searchsorted(self.starts, rows, side="right") - 1
        found = np.empty((len(rows), *self.none.shape[1:]), self.none.dtype)
        for number in np.unique(numbers):
            mine = numbers == number
            found[mine] = self.arrays[number][rows[mine] - self.starts[number]]
        return found


class Chosen:
    """Some rows of another array, by indices of their own.

    Args:
        source: the array.
        rows: int (k,), indices into it.
    """

    def __init__(self, source: RowSource, rows: np.ndarray) -> None:
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: Any) -> np.ndarray:
        return self._source[self._rows[which]]


class Growing(AbstractContextManager["Growing"]):
    """A new .npy file to which rows are added; none of them stays in memory.

    After the `with` block it has the bytes that `np.save` writes for all rows together. NumPy
    leaves room in the header for any number of rows, so that it is written for none at first and
    once more at the end.

    Args:
        path: the file; one that is there is overwritten.
        dtype: of the rows.
        row: the shape of one row; without it that of the first to come, or (0,) if none comes.
    """

    def __init__(self, path: Path, dtype: Any, row: tuple[int, ...] | None = None) -> None:
        self._dtype, self._row, self._count = np.dtype(dtype), row, 0
        self._file = path.open("wb")

    def __exit__(self, *error: object) -> None:
        with self._file:
            self._file.seek(0)
            self._header()

    def __len__(self) -> int:
        return self._count

    def add(self, rows: np.ndarray) -> None:
        """Adds rows of shape (any number, *row).

        Raises:
            ValueError: the rows have another dtype or shape than the file.
        """
        if self._row is None:
            self._row = rows.shape[1:]
        if rows.dtype != self._dtype or rows.shape[1:] != self._row:
            raise ValueError(
                f"rows must be {self._dtype} of shape {self._row}."
                f" Received: {rows.dtype} of shape {rows.shape[1:]}"
            )
        if not self._file.tell():
            self._header()
        self._file.write(np.ascontiguousarray(rows).data)
        self._count += len(rows)

    def _header(self) -> None:
        """Writes the header, which says how many rows there are."""
        shape = (self._count, *((0,) if self._row is None else self._row))
        said = {"descr": npy.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(self._file, said)


class Stored:
    """An .npy file that is indexed like its array, a slice or a list of rows at a time.

    Each access maps the file anew. Of one map that lasts, every page that was ever read would
    count as memory of the process, up to the size of the file.

    Args:
        path: the file.
        columns: of a row, which are read; without it all.
    """

    def __init__(self, path: Path, columns: slice | None = None) -> None:
        self._path, self._columns = path, columns or slice(None)

    def __len__(self) -> int:
        return len(self._map())

    def __getitem__(self, which: Any) -> np.ndarray:
        return self._map()[which]

    def of_columns(self, columns: slice) -> Self:
        """The same rows, of which only some columns are read."""
        return type(self)(self._path, columns)

    def _map(self) -> np.ndarray:
        return np.load(self._path, mmap_mode="r")[..., self._columns]


def copy_rows(out: Growing, sources: Sequence[Path], numbers: np.ndarray, rows: np.ndarray) -> None:
    """Adds rows of several .npy files to a new one, some MB of them at a time.

    Args:
        out: what they are added to.
        sources: the files; each must have the dtype of `out`.
        numbers: int (n,), from which source each row is.
        rows: int (n,), which row of it.
    """
    joined = Joined([Stored(path) for path in sources])
    chosen = Chosen(joined, joined.starts[numbers] + rows)
    row_bytes = max(1, math.prod(joined.none.shape[1:]) * joined.none.itemsize)
    for some in in_batches(chosen, max(1, _COPIED // row_bytes)):
        out.add(some)
