"""The command `graft`: stages of the pipeline, which `dvc.yaml` names, and tools beside it.

Only the module that runs is imported: importing TensorFlow alone takes five seconds. The code is
signed before any of it is imported, hence the imports inside of functions.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from graft.common.environment import check_locale, print_anything, take_environment
from graft.common.errors import UserError
from graft.integrity.locks import STAGE, find_dvc
from graft.scheduling.fork_server import (
    ENGINE,
    VARIABLE,
    name_server,
    run_in_server,
    start_server,
)

_PACKAGE = Path("workflow/graft")
_LOGS = Path("logs")
# The program that goes on with the package whose path is its first argument.
_ANEW = """
import os, sys
sys.path.insert(0, os.path.dirname(sys.argv.pop(1)))
from graft.cli import main
main()
"""


def find_tools(name: str = "[a-z]*") -> dict[str, str]:
    """The commands that are no stage, by name: what each does, by its module's docstring.

    Args:
        name: which of them, as a pattern of file names.
    """
    import ast

    found = {}
    for path in sorted((Path(__file__).parent / "tools").glob(f"{name}.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def main() -> None:
    """Runs the command in the command line; exit status 2 for an error that a user can mend."""
    # Without what Python keeps of modules that it has compiled, starts take three times as long.
    sys.dont_write_bytecode = False
    if take_environment():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ)
    _go_to_environment_of_engine()
    print_anything()
    arguments = sys.argv[1:] or ["--help"]
    try:
        check_locale()
    except UserError as error:
        _end_with(arguments, error)
    code = None
    if STAGE in os.environ:  # the number of DVC's process names the server
        run_in_server(arguments, name_server(dvc := find_dvc()))
        code = _sign_code(arguments)
        start_server(dvc)  # for the stages after this one
    elif VARIABLE in os.environ:
        run_in_server(arguments, os.environ[VARIABLE])
    try:
        _run_signed(arguments, code or _sign_code(arguments))
    except SystemExit as ending:
        if ending.code in {128 + number for number in (signal.SIGINT, signal.SIGTERM)}:
            sys.stdout.flush()
            # Nobody waits for TensorFlow to be taken apart.
            os._exit(ending.code)
        raise


def _go_to_environment_of_engine() -> None:
    """Runs the `graft` of the environment that the engine is of, if another is first on the path.

    A result is recorded by the engine, with the versions that its environment has.
    """
    try:
        named = os.environ.get(ENGINE)  # by Snakemake; DVC says nothing
        if named is None and STAGE in os.environ:
            command = Path(f"/proc/{find_dvc()}/cmdline").read_bytes()
            named = os.fsdecode(command.partition(b"\0")[0])
        python = Path(named or "")
        own = python.with_name("graft") if python.is_absolute() else python
        if own.is_file() and not own.parent.samefile(Path(sys.executable).parent):
            os.execv(own, [str(own), *sys.argv[1:]])
    except OSError:  # this is not Linux
        return


def serve_stages(descriptor: int, engine: int, python: list[object]) -> None:
    """Runs the stages of a run in forks of this process (`scheduling/fork_server.py`).

    Args:
        descriptor: of the socket that requests come from.
        engine, python: as the server has them.
    """
    import socket

    from graft.integrity.libraries import find_versions, list_installed
    from graft.scheduling import fork_server

    sys.dont_write_bytecode = False  # as in `main`
    code, installed = _sign_code([]), list_installed()
    find_versions()  # forks know those of the libraries that this process imports

    def run(arguments: list[str] | None) -> bool:
        # Where code or a library has changed since, what is imported here is older.
        if arguments is None:
            return _sign_code([]) == code and list_installed() == installed
        _run_signed(arguments, code)
        return True

    fork_server.serve(socket.socket(fileno=descriptor), engine, python, run)


def _run_signed(arguments: list[str], code: Mapping[Path, str] | None) -> None:
    from graft.scheduling.endings import end_quietly_on_signals, find_outer_cause

    # A closed pipe (`graft … | head`) ends the program quietly, as it does any Unix filter.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    end_quietly_on_signals()

    try:
        _run(arguments, code)
    except Exception as error:
        message = error if isinstance(error, UserError) else find_outer_cause(error)
        if message is None:
            raise
        _end_with(arguments, message)


def _end_with(arguments: list[str], error: UserError) -> NoReturn:
    print(f"graft {arguments[0]}: error: {error}", file=sys.stderr)
    sys.exit(2)


def _sign_code(arguments: list[str]) -> Mapping[Path, str] | None:
    """The signatures of the rooms; None where this package is not the one of a project here.

    In a project with a package of its own, such as another worktree or an experiment of DVC in a
    temporary folder, that package runs instead: a result must be of the code that is recorded.
    """
    own = _PACKAGE / "cli.py"
    if not own.is_file():
        return None
    if not own.samefile(__file__):
        _start_anew(arguments)
    from graft.integrity.ground import digest

    return {room: digest(room) for room in _PACKAGE.iterdir() if room.is_dir()}


def _start_anew(arguments: list[str]) -> NoReturn:
    """Goes on in a Python that has imported nothing, with the package of the project here.

    The path of a project may hold a colon, which PYTHONPATH cannot.
    """
    environment = {**os.environ}
    environment.pop(VARIABLE, None)
    command = [sys.executable, "-c", _ANEW, str(_PACKAGE.absolute()), *arguments]
    os.execve(sys.executable, command, environment)


def _run_stage(arguments: list[str], code: Mapping[Path, str] | None) -> None:
    from graft.project.launcher import run_stage

    began = time.monotonic()
    stage = run_stage(arguments, code)
    _note_use(stage.address, began)
    if STAGE in os.environ and "answer" in stage.traits:
        from graft.scheduling.answer import say_answer  # it imports pandas

        print(say_answer(), flush=True)


def _note_use(address: str, began: float) -> None:
    """Writes what a stage took to `logs/STAGE.tsv`, in the units of Snakemake's benchmarks.

    Seconds; the largest memory of one process in MB, shared pages included; seconds of processors.
    """
    import resource

    from graft.common.atomic import write_text

    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    kilobytes = max(use.ru_maxrss for use in uses) / (1024 if sys.platform == "darwin" else 1)
    cpu = sum(use.ru_utime + use.ru_stime for use in uses)
    taken = f"{time.monotonic() - began:.2f}\t{kilobytes / 1024:.1f}\t{cpu:.2f}\n"
    write_text(_LOGS / f"{address}.tsv", f"s\tmax_rss\tcpu_time\n{taken}")


def _run(arguments: list[str], code: Mapping[Path, str] | None) -> None:
    import importlib

    from graft.integrity.moment import forget_false_entries
    from graft.project import pipeline

    name, *more = arguments
    stages = pipeline.stage_names() if pipeline.FILE.is_file() else {}
    if name in {"-h", "--help"}:
        print("usage: graft COMMAND …")
        for title, commands in (("commands", find_tools()), ("stages of dvc.yaml", stages)):
            if commands:
                lines = [f"  {command:<10} {summary}" for command, summary in commands.items()]
                print(f"\n{title}:", *lines, sep="\n")
    elif name in stages and {"-h", "--help"}.intersection(more):
        from graft.project.explaining import explain_stage

        print(explain_stage(name))
    elif name in stages:
        _run_stage(arguments, code)
    elif name.isidentifier() and find_tools(name):
        if pipeline.FILE.is_file():
            forget_false_entries()
        importlib.import_module(f"graft.tools.{name}").main(more)
    else:
        allowed = f"a command must be one of {', '.join([*find_tools(), *stages])}"
        up = pipeline.say_way_up()
        elsewhere = "" if stages else f"; stages run in the project's folder, where dvc.yaml is{up}"
        raise UserError(f"{allowed}{elsewhere}. Received: {name!r}")
