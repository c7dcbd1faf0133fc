"""Files by the hash of their bytes, as DVC names them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from graft.integrity.ground import sign


def hash_file(path: Path) -> str:
    """The MD5 of a file in hexadecimal digits, as DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def hash_folder(folder: Path) -> str:
    """The hash of a folder as DVC computes it: of its list of files and their hashes."""
    return hash_list(
        {Path(name).relative_to(folder).as_posix(): hash_file(Path(name)) for name in sign(folder)}
    )


def hash_list(files: Mapping[str, str]) -> str:
    """The hash of a folder by the hashes of its files.

    Args:
        files: the hash of each, by its path in the folder.
    """
    entries = [{"md5": name, "relpath": path} for path, name in sorted(files.items())]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
