"""The one kind of error that the user can mend."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

# The parameter that says where the images are, as errors name it.
WHERE_SOURCE = "params.yaml: dataset.path"


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


def nearest(received: Any, known: Iterable[str], show: Callable[[str], str] = str) -> str:
    """A hint for a name that is not known: ` (did you mean MobileNetV2?)`; empty if none is near.

    Args:
        received: what is there instead of a name.
        known: the names that are allowed; small and capital letters count as equal.
        show: how a name is written.
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(received).casefold(), folded, n=1)
    return f" (did you mean {show(folded[near[0]])}?)" if near else ""
