"""The command `graft COMMAND …`: finds the module of that name and hands it the rest of the line.

A command is a module of this package that defines `main(arguments)`. Which ones do is read from
their source, so that help lists them and a new module is a new command, while only the module
that runs is imported: importing TensorFlow alone costs five seconds.
"""

import ast
import importlib
import signal
import sys
from pathlib import Path

from graft.errors import UserError


def commands() -> dict[str, str]:
    """The commands that there are, by name, each with the first line of its module's docstring."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if "main" in functions and path.stem != "cli":
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main() -> None:
    """Runs the command that the command line names; exit status 2 for an error of the user's."""
    # A closed pipe (`graft … | head`) ends the program quietly, as it does any Unix filter.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else "--help"), sys.argv[2:]
    known = commands()
    if name in {"-h", "--help"}:
        lines = [f"  {command:<10} {summary}" for command, summary in known.items()]
        print("usage: graft COMMAND …\n\ncommands:", *lines, sep="\n")
        return
    try:
        if name not in known:
            raise UserError(f"a command must be one of {', '.join(known)}. Received: {name!r}")
        importlib.import_module(f"graft.{name}").main(arguments)
    except UserError as error:
        print(f"graft {name}: error: {error}", file=sys.stderr)
        sys.exit(2)
