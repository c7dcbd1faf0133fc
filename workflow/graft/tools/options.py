"""The command lines of the commands: what `--help` says, and what a typing error says."""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from graft.common.errors import UserError, nearest, refuse
from graft.integrity.yaml12 import read_yaml_file

_OPTIONS = Path(__file__).with_suffix(".yaml")


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


def parse_options(
    command: str, about: str | None, arguments: Sequence[str], **values: str
) -> argparse.Namespace:
    """What was typed behind a command, read as `options.yaml` beside this module says.

    Args:
        command: the command, such as `use`.
        about: what it does.
        arguments: what was typed.
        values: what stands for the names in braces in the texts on options.

    Raises:
        UserError: it is nothing that the command takes.
    """
    own = read_yaml_file(_OPTIONS)[command]
    parser = CommandParser(command, f"{about} {own.get('more', '')}".strip(), own["example"])
    for name, option in own["options"].items():
        if "type" in option:
            option["type"] = _TYPES[option["type"]]
        parser.add_argument(name, **option | {"help": option["help"].format(**values)})
    return parser.parse_args(arguments)


def read_changes(texts: Sequence[str]) -> dict[str, Any]:
    """The values that `--set KEY=VALUE` gives, by dotted key, as YAML reads them.

    Raises:
        UserError: one is of another form.
    """
    from graft.project.recipes import load_commented

    changes = {}
    for text in texts:
        key, equals, value = map(str.strip, text.partition("="))
        if not equals or not value:
            raise refuse("--set", "KEY=VALUE, such as head.epochs=20", text)
        changes[key] = load_commented(f"--set {key}", value)
    return changes


def _read(kind: Callable[[str], Any], allowed: str, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        message = f"must be {allowed}. Received: {text!r}"
        raise argparse.ArgumentTypeError(message) from None


_TYPES = {
    "path": Path,
    "number": partial(_read, float, "a number, such as 0.9"),
    "count": partial(_read, int, "a whole number"),
}
