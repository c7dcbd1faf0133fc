"""The one kind of error that is the user's to mend."""

from typing import Any


class UserError(Exception):
    """A parameter, file or command that graft cannot work with.

    The command line prints it as one message without a traceback and exits with status 2.
    """


def refuse(where: str, allowed: str, received: Any) -> UserError:
    """The error for a value that is not allowed.

    Args:
        where: what holds the value, such as `params.yaml: image.side`.
        allowed: what may stand there, as a phrase that follows "must be".
        received: the value that stands there.
    """
    return UserError(f"{where} must be {allowed}. Received: {received!r}")
