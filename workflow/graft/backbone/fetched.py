"""Files that Keras publishes for its networks: fetched whole, and checked before Keras opens them.

Keras writes a file straight to its place. One there that has not the published hash it fetches
anew, and deletes where there is no network. Here such a file is named and left as it is.
"""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from graft.common.errors import UserError
from graft.models.framework import keras
from graft.network.stored_weights import NotPlain, count_numbers


@contextmanager
def fetching(what: str, instead: str) -> Iterator[None]:
    """Meanwhile, Keras gets its files from here, with a clear error in place of its own.

    A file must have the hash that Keras publishes, whether it was fetched now or was there. For
    MobileNet and MobileNetV2 there is none: their weights must be plain arrays.

    Keras prints its progress on standard output, where the answers of a command belong: here it
    goes to standard error.

    Args:
        what: what the file holds.
        instead: what the user may do instead of putting the file in its place.

    Raises:
        UserError: the file cannot be fetched, is not the right one, or is damaged.
    """
    # The networks look the function up in this module, each time that they need a file.
    file_utils = keras.src.utils.file_utils
    download, given = file_utils.get_file, list[Path]()

    def get_file(name: str, origin: str, *, cache_subdir: str, file_hash: str | None = None) -> str:
        place = Path(file_utils.config.keras_home(), cache_subdir, name)
        if place.is_file():
            if problem := _problem_of(place, file_hash):
                raise _refuse_file(place, what, instead, problem)
        else:
            part = place.with_name(f"{name}.{os.getpid()}.part")
            try:
                # Where it may not write there, Keras takes another folder.
                fetched = Path(download(part.name, origin, cache_subdir=cache_subdir))
                if problem := _problem_of(fetched, file_hash):
                    fetched.unlink()
                    raise ValueError(problem)
                place = fetched.replace(fetched.with_name(name))
            except Exception as error:
                raise UserError(
                    f"{what} cannot be fetched. Download {origin} where there is a network and put"
                    f" it at {place}, or {instead}. Received: {first_line(error)}"
                ) from None
            finally:
                part.unlink(missing_ok=True)
        given.append(place)
        return str(place)

    file_utils.get_file = get_file
    try:
        with redirect_stdout(sys.stderr):
            yield
    except UserError:
        raise
    except Exception as error:
        if given:
            raise _refuse_file(given[-1], what, instead, first_line(error)) from None
        raise
    finally:
        file_utils.get_file = download


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return str(error).strip().partition("\n")[0]


def _problem_of(path: Path, published: str | None) -> str:
    """Why a file is not the one that Keras publishes, as far as that can be told; else empty."""
    if published:
        kind = "SHA-256" if len(published) == 64 else "MD5"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        return "" if found == published else f"a file of {kind} {found}, not {published}"
    try:
        if ".h5" in path.suffixes:
            count_numbers(path)
    except (OSError, NotPlain) as error:
        return first_line(error)
    return ""


def _refuse_file(path: Path, what: str, instead: str, problem: str) -> UserError:
    return UserError(
        f"{what} must be the file that Keras publishes. Delete {path}, so that it is fetched again,"
        f" or {instead}. Received: {problem}"
    )
