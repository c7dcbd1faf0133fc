"""What Keras fetches from the network, and what people are told where it cannot."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from graft.errors import UserError


@contextmanager
def fetching(what: str, instead: str) -> Iterator[None]:
    """Around what lets Keras fetch a file: says what to do where it cannot.

    Keras tells of its progress on standard output, where the answers of a command belong: here it
    goes to standard error.

    Args:
        what: what the file holds.
        instead: what the user may do instead of putting the file in its place.

    Raises:
        UserError: the file cannot be fetched, is not the right one, or is damaged.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        # Only Keras' own functions know the file: its name is not always that of the URL.
        for frame, _ in traceback.walk_tb(error.__traceback__):
            known = frame.f_locals
            if frame.f_code.co_name == "get_file" and "download_target" in known:
                raise UserError(
                    f"{what} cannot be fetched. Download {known['origin']} where there is a network"
                    f" and put it at {known['download_target']}, or {instead}. Received: {first}"
                ) from None
            if "weights_path" in known:
                raise UserError(
                    f"{what} cannot be read. Delete {known['weights_path']}, so that it is fetched"
                    f" again, or {instead}. Received: {first}"
                ) from None
        raise
