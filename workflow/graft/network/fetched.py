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
from graft.models.framework import keras  # noqa: F401, set up before any module of Keras
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
    from keras.src.utils import file_utils

    download, given = file_utils.get_file, list[Path]()

    def get_file(name: str, origin: str, *, cache_subdir: str, file_hash: str | None = None) -> str:
        place = Path(file_utils.config.keras_home(), cache_subdir, name)
        if not place.is_file():
            # In the same folder; Keras checks the hash of what it has fetched.
            part = f"{name}.{os.getpid()}.part"
            try:
                options = {"cache_subdir": cache_subdir, "file_hash": file_hash}
                place = Path(download(part, origin, **options)).replace(place)
            except Exception as error:
                place.with_name(part).unlink(missing_ok=True)
                raise UserError(
                    f"{what} cannot be fetched. Download {origin} where there is a network and put"
                    f" it at {place}, or {instead}. Received: {first_line(error)}"
                ) from None
        given.append(place)
        _check(place, file_hash, what, instead)
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


def _check(path: Path, published: str | None, what: str, instead: str) -> None:
    """Refuses a file that is not the one that Keras publishes, as far as that can be told."""
    if published:
        kind = "sha256" if len(published) == 64 else "md5"
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != published:
            raise UserError(
                f"{path} must be the file that Keras publishes as {what}, of {kind} {published}:"
                f" delete it, so that it is fetched again, or {instead}. Received: {kind} {found}"
            )
    elif path.suffix == ".h5":
        try:
            count_numbers(path)
        except (OSError, NotPlain) as error:
            raise _refuse_file(path, what, instead, first_line(error)) from None


def _refuse_file(path: Path, what: str, instead: str, problem: str) -> UserError:
    return UserError(
        f"{what} cannot be read. Delete {path}, so that it is fetched again, or {instead}."
        f" Received: {problem}"
    )
