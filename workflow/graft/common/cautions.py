"""What a person should know of a run though nothing failed, and the command that mends it.

A stage writes its warnings to a file of their own. The stage `warnings` gathers them, so that the
end of a run and the page show them all.
"""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.stage import Stage
from graft.common.tables import read_json, write_json


class Caution(NamedTuple):
    """One warning.

    Attributes:
        text: a sentence or more, without a full stop at the end.
        command: what to type; empty where no command helps.
    """

    text: str
    command: str = ""


def set_command(key: str, value: Any) -> str:
    """The command that changes one parameter of params.yaml, as a shell reads it.

    Args:
        key: dotted, such as `split.kind`.
        value: as YAML writes it in one line.
    """
    return f"uv run graft use --set {shlex.quote(f'{key}={value}')}"


def write_warnings(
    stage: Stage, path: str, cautions: Iterable[Caution], after: Sequence[Caution] = ()
) -> list[Caution]:
    """Prints the warnings of a stage on standard error, and writes them as JSON.

    Args:
        stage: whose they are; it must declare the output.
        path: the output.
        cautions: the warnings, the most important first.
        after: those of earlier stages, which stand before them in the file.

    Returns:
        The warnings of the stage.
    """
    found = list(cautions)
    for text, command in found:
        with_command = f"{text}: `{command}`" if command else text
        print(f"{stage.address}: warning: {with_command}", file=sys.stderr)
    write_json(stage.output(path), [caution._asdict() for caution in (*after, *found)])
    return found


def read_warnings(path: Path) -> list[Caution]:
    """The warnings that a stage wrote."""
    return [Caution(**values) for values in read_json(path)]
