"""What the modules of the package, and files of Python, import."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

from graft.project.pipeline import PACKAGE
from images import ROOT

SOURCES = {
    ".".join(("graft", *path.relative_to(ROOT / PACKAGE).with_suffix("").parts)): path
    for path in (ROOT / PACKAGE).rglob("*.py")
    if path.name != "__init__.py"
}
# Where tests find each other by plain names.
TESTS = ("tests", "tests/helpers")
# Where a package is imported by another name than it is installed by.
INSTALLED_AS = {"PIL": "pillow", "ruamel": "ruamel-yaml", "sklearn": "scikit-learn"}
INSTALLED_AS |= {"yaml": "pyyaml"}


@cache
def imported(path: Path, later: bool) -> frozenset[str]:
    """What a file imports; inside functions only if `later`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree)) if later else tree.body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # A dot is the room of the file: the one that stands alone goes by it.
            module = f"graft.{path.parent.name}.{node.module}" if node.level else node.module
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def closure(module: str, later: bool) -> set[str]:
    """A module with all that it imports, directly or not; of other packages only their names."""
    found, waiting = {module}, [module]
    while waiting:
        new = imported(SOURCES[waiting.pop()], later) - found
        found |= new
        waiting += new & set(SOURCES)
    return found


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(path: Path, later: bool = True) -> set[str]:
    """The packages of others that a file imports; inside functions only if `later`."""
    own = {"graft"} | {file.stem for place in TESTS for file in (ROOT / place).iterdir()}
    tops = {name.partition(".")[0] for name in imported(path, later)}
    tops -= set(sys.stdlib_module_names) | own
    return {INSTALLED_AS.get(top, normal(top)) for top in tops}
