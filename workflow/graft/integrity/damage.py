"""Files that are not what DVC recorded: their bytes have another hash."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from graft.integrity.ground import Signature, sign

_DIRECTORY = ".dir"
_checked: dict[str, Signature] = {}


def hash_file(path: Path) -> str:
    """The MD5 of a file in hexadecimal digits, as DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def find_damaged(locate: Callable[[str], str], name: str) -> list[Path]:
    """The damaged files among those that hold an output in DVC's cache; missing ones are not named.

    A file that was found sound is hashed again only if it was written or changed since.

    Args:
        locate: where the cache has the file of a hash.
        name: the hash of a file; or of a folder, with `.dir` at its end: then its list and all
            files in the list are looked at.
    """
    path = Path(locate(name))
    if not _is_sound(path, name.removesuffix(_DIRECTORY)):
        return [path]
    if not name.endswith(_DIRECTORY) or not path.exists():
        return []
    entries = json.loads(path.read_text(encoding="utf-8"))
    return [bad for entry in entries for bad in find_damaged(locate, entry["md5"])]


def _is_sound(path: Path, name: str) -> bool:
    signature = sign(path).get(str(path))
    if signature is None or _checked.get(str(path)) == signature:
        return True
    if hash_file(path) != name:
        return False
    _checked[str(path)] = signature
    return True
