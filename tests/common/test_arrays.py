"""Arrays are written and read in pieces, and are the files that NumPy writes."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.common.arrays import Growing, Stored
from images import python


@given(
    pieces=st.lists(st.integers(0, 7), max_size=6),
    row=st.lists(st.integers(0, 5), max_size=3).map(tuple),
    dtype=st.sampled_from(["uint8", "float32", "int64", "bool"]),
    known=st.booleans(),
)
def test_rows_that_come_in_pieces_are_saved_as_by_numpy(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[int],
    row: tuple[int, ...],
    dtype: str,
    known: bool,
) -> None:
    folder = tmp_path_factory.mktemp("arrays")
    array = np.random.default_rng(1).integers(0, 99, (sum(pieces), *row)).astype(dtype)
    with Growing(folder / "mine.npy", dtype, row if known else None) as out:
        for piece in np.split(array, np.cumsum(pieces)[:-1]) if pieces else ():
            out.add(piece)
    if not pieces and not known:
        array = np.zeros((0, 0), dtype)
    np.save(folder / "numpy.npy", array)
    assert (folder / "mine.npy").read_bytes() == (folder / "numpy.npy").read_bytes()
    stored = Stored(folder / "mine.npy")
    assert len(stored) == len(array)
    assert np.array_equal(stored[1:5], array[1:5]) and stored[:].dtype == dtype
    backwards = np.arange(len(array))[::-1]
    assert np.array_equal(stored[backwards], array[backwards])


def test_rows_that_are_not_contiguous_are_saved_in_their_order(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(2, 1, 0)
    with Growing(tmp_path / "a.npy", np.uint8) as out:
        out.add(array[::2])
    assert np.array_equal(np.load(tmp_path / "a.npy", mmap_mode="r"), array[::2])


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.zeros((1, 3), "float32"), np.zeros(2, "f4")])
def test_rows_of_another_kind_are_refused(tmp_path: Path, rows: np.ndarray) -> None:
    with Growing(tmp_path / "a.npy", np.float32, (2,)) as out:
        out.add(np.ones((1, 2), np.float32))
        with pytest.raises(ValueError, match=r"rows must be float32 of shape \(2,\)\. Received: "):
            out.add(rows)
    assert np.load(tmp_path / "a.npy").tolist() == [[1, 1]]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """256 MiB are written and read in pieces of 1 MiB."""
    code = """
        import re
        from pathlib import Path
        import numpy as np
        from graft.common.arrays import Growing, Stored

        def peak():
            return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

        before = peak()
        with Growing(Path("a.npy"), np.uint8, (1024, 1024)) as out:
            for number in range(256):
                out.add(np.full((1, 1024, 1024), number, np.uint8))
        stored = Stored(Path("a.npy"))
        assert all((stored[n : n + 1] == n).all() for n in range(len(stored)))
        print(peak() - before)
    """
    assert int(python(code, cwd=tmp_path)) < 32 * 1024, "kiB"
