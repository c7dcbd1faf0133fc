"""The one kind of error that the user can mend."""

from typing import Any


class UserError(Exception):
    """A parameter, file or command that graft cannot work with.

    The command line prints it as one message without a traceback and exits with status 2.
    """


def refuse(where: str, allowed: str, received: Any) -> UserError:
    """The error for a value that is not allowed.

    Args:
        where: what holds the value, such as `params.yaml: image.side`.
        allowed: the values that may be there, as a phrase that follows "must be".
        received: the value that is there.
    """
    return UserError(f"{where} must be {allowed}. Received: {received!r}")
