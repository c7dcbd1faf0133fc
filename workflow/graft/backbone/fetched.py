"""Files that Keras publishes for its networks: fetched whole, and checked before Keras opens them.

Keras by itself writes a file straight to its place. One there that has not the published hash it
fetches anew, and deletes where there is no network. Here such a file is named and left as it is.
`published.json` beside this module lists the files; `workflow/scripts/published.py` writes it.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from graft.common.errors import UserError
from graft.models.framework import keras
from graft.network.stored_weights import count_numbers

PUBLISHED_FILE = Path(__file__).with_name("published.json")
CLASS_INDEX = "class index"  # its row beside those of the networks
_FOLDER = "models"  # in the folder of Keras
# Networks that Keras trained at several sides, with a file for each.
_SIDES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}


class PublishedFile(NamedTuple):
    """A file that Keras publishes.

    Attributes:
        name: its name in the folder of Keras, which need not be that of its address.
        origin: its address.
        digest: the MD5 or SHA-256 that Keras publishes, in hexadecimal digits; None without one.
    """

    name: str
    origin: str
    digest: str | None


def find_published(network: str, side: int = 0, top: bool = True) -> PublishedFile:
    """The file that Keras has for a network.

    Args:
        network: a class of `keras.applications`, or CLASS_INDEX for the names of the classes.
        side: of the images, in pixels.
        top: whether with the classifier.
    """
    rows = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))[network]
    file = PublishedFile(*rows[0 if top else 1])
    if side in _SIDES.get(network, ()):
        name = file.name.replace("_224", f"_{side}")
        file = PublishedFile(name, file.origin.replace(file.name, name), file.digest)
    return file


@contextmanager
def fetching(file: PublishedFile, what: str, instead: str) -> Iterator[Path]:
    """Gives the place of a file that Keras publishes, where it is fetched to unless it is there.

    The file must have the hash that Keras publishes, whether it was fetched now or was there. For
    MobileNet and MobileNetV2 there is none: their weights must be plain arrays. What the block
    raises is taken for damage of the file.

    Keras prints its progress on standard output, where the answers of a command belong: here it
    goes to standard error.

    Args:
        file: which one.
        what: what the file holds.
        instead: what the user may do instead of putting the file in its place.

    Raises:
        UserError: the file cannot be fetched, is not the right one, or is damaged.
    """
    with redirect_stdout(sys.stderr):
        place = Path(keras.src.backend.config.keras_home(), _FOLDER, file.name)
        if not place.is_file():
            place = _fetch(file, place, what, instead)
        try:
            _check_published(place, file.digest)
            yield place
        except Exception as error:
            raise UserError(
                f"{what} must be the file that Keras publishes. Delete {place}, so that it is"
                f" fetched again, or {instead}. Received: {first_line(error)}"
            ) from None


def _fetch(file: PublishedFile, place: Path, what: str, instead: str) -> Path:
    part = place.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        # Where it may not write there, Keras takes another folder.
        part = Path(keras.utils.get_file(part.name, file.origin, cache_subdir=_FOLDER))
        _check_published(part, file.digest)
        return part.replace(part.with_name(file.name))
    except Exception as error:
        raise UserError(
            f"{what} cannot be fetched. Download {file.origin} where there is a network and put"
            f" it at {place}, or {instead}. Received: {first_line(error)}"
        ) from None
    finally:
        part.unlink(missing_ok=True)


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().partition("\n")[0]


def _check_published(path: Path, published: str | None) -> None:
    """Raises an error if a file is not the one that Keras publishes, as far as can be told."""
    if published:
        kind = "SHA-256" if len(published) == 64 else "MD5"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        if found != published:
            raise ValueError(f"a file of {kind} {found}, not {published}")
    elif ".h5" in path.suffixes:
        count_numbers(path)
