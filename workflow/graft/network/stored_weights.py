"""What an HDF5 file of weights holds, looked at before any number of it is read.

HDF5 can name what is in other files, or is stored nowhere, or unfolds to more. Weights as Keras
writes them are plain arrays in groups, each at one place, with all their bytes in the file; nothing
else is let through.
"""

from pathlib import Path
from typing import Any, BinaryIO

# Where files of whole models keep the state of the optimizer, which is no weight of the network.
_OPTIMIZER = "/optimizer"
# Kinds of NumPy's types: truth, signed, unsigned, real. Keras keeps bfloat16 as two bytes.
_KINDS, _BFLOAT16 = "biuf", "|V2"


class NotPlain(ValueError):
    """The file holds what weights need not; the message says what and where, in one line."""


def count_numbers(source: Path | BinaryIO) -> int:
    """How many numbers a file of weights holds, of either format of Keras, without the optimizer's.

    Raises:
        NotPlain: it holds something else than groups and plain arrays.
        OSError: it is no HDF5.
    """
    import h5py

    numbers = stored = 0
    with h5py.File(source) as file:
        waiting, seen = [("", file)], set()
        while waiting:
            place, group = waiting.pop()
            for name in group:
                path = f"{place}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise NotPlain(f"{path} is a link")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:  # a group could hold itself
                    raise NotPlain(f"{path} is there under another name")
                seen.add(address)
                if isinstance(item, h5py.Group):
                    waiting.append((path, item))
                    continue
                if not isinstance(item, h5py.Dataset):
                    raise NotPlain(f"{path} is no array")
                count = _check_array(path, item)
                stored += count * item.dtype.itemsize
                numbers += count * (not path.startswith(_OPTIMIZER))
        if stored > (length := file.id.get_filesize()):
            raise NotPlain(f"arrays of {stored:,} bytes in a file of {length:,}")
    return numbers


def _check_array(path: str, array: Any) -> int:
    """How many numbers an array has; it is looked at by what the file says of it alone."""
    count, kind = array.size or 0, array.dtype
    if kind.kind not in _KINDS and kind.str != _BFLOAT16:
        raise NotPlain(f"{path} holds no numbers")
    if array.external:
        raise NotPlain(f"{path} is stored in another file")
    if array.is_virtual:
        raise NotPlain(f"{path} is put together from other arrays")
    if array.id.get_create_plist().get_nfilters():
        raise NotPlain(f"{path} is compressed")
    if array.id.get_storage_size() < count * kind.itemsize:
        raise NotPlain(f"{path} says that it has {count:,} numbers, which are not there")
    return count
