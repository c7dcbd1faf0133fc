"""The command lines of the commands: what `--help` says, and what a typing error says."""

import argparse
from typing import NoReturn

from graft.common.errors import UserError, nearest


class CommandParser(argparse.ArgumentParser):
    """A parser that answers a typing error with one message, which ends with an example.

    argparse itself prints all options first, over several lines.
    """

    def __init__(self, command: str, about: str, example: str) -> None:
        """
        Args:
            command: the command, such as `use`.
            about: what it does.
            example: a command line that is right.
        """
        super().__init__(prog=f"graft {command}", description=about, epilog=f"example: {example}")
        self._example = example

    def error(self, message: str) -> NoReturn:
        """Refuses what was typed.

        Args:
            message: argparse's own, such as `unrecognized arguments: --al`.

        Raises:
            UserError: always.
        """
        what, colon, received = message.partition("unrecognized arguments: ")
        if colon and not what:
            options = [name for action in self._actions for name in action.option_strings]
            near = nearest(received.split()[0], options) if received.startswith("-") else ""
            message = f"it takes no {received}{near}"
        message = " ".join(message.split())
        raise UserError(f"{message}. Right is `{self._example}`; `{self.prog} --help` says more")


def read_number(text: str) -> float:
    """The value of an option that is a number.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise _no_number("a number, such as 0.9", text) from None


def read_whole_number(text: str) -> int:
    """The same for a whole number."""
    try:
        return int(text)
    except ValueError:
        raise _no_number("a whole number", text) from None


def _no_number(allowed: str, text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"must be {allowed}. Received: {text!r}")
