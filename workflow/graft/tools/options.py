"""The command lines of the commands: what `--help` says, and what a typing error says."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

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

    def add_count(self, name: str, default: int, about: str) -> None:
        """Adds an option that takes a whole number.

        Args:
            name: of the option, such as `--top`.
            default: the number without it.
            about: what it counts.
        """
        text = f"{about} (default: %(default)s)"
        self.add_argument(name, type=_read_whole_number, default=default, metavar="N", help=text)

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
    return _read(float, "a number, such as 0.9", text)


def _read_whole_number(text: str) -> int:
    """The same for a whole number."""
    return _read(int, "a whole number", text)


def _read(kind: Callable[[str], Any], allowed: str, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        message = f"must be {allowed}. Received: {text!r}"
        raise argparse.ArgumentTypeError(message) from None
