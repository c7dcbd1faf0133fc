"""Nothing in another package is replaced or assigned to, and no start of Python is changed.

The source texts are read, not run. A name is foreign if it is imported from another package, or is
taken from such a name by attributes alone: `keras`, `config = keras.src.backend.config`.
"""

import ast
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cases import read_cases
from images import ROOT

FOLDERS = ("graft", "snakemake_logger_plugin_graft", "scripts")
FILES = [path for name in FOLDERS for path in sorted((ROOT / "workflow" / name).rglob("*.py"))]
# What Python has for programs to set.
SETTINGS = {"sys.dont_write_bytecode"}
HOOKS = {"sys.meta_path", "sys.path_hooks", "sys.path_importer_cache"}
WRAPPERS = {"functools.wraps", "functools.update_wrapper"}
WRITES = {"pop", "popitem", "update", "setdefault", "clear", "__setitem__", "__delitem__"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "workflow").with_suffix("").parts)


TEXTS = {module_name(path): path.read_text(encoding="utf-8") for path in FILES}
OWN = {"graft", "snakemake_logger_plugin_graft"}


def imported(tree: ast.AST) -> dict[str, str]:
    """What each imported name of a module stands for: `np` for `numpy`."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name.split(".")[0]] = (
                    one.name if one.asname else one.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    return found


def resolved(name: str, texts: Mapping[str, str]) -> str:
    """Through modules of graft's own, which hand on what they import: `keras` by `framework`."""
    module, _, own = name.rpartition(".")
    while module in texts:
        handed = imported(ast.parse(texts[module])).get(own)
        if handed is None:
            break
        name, (module, _, own) = handed, handed.rpartition(".")
    return name


def find_patches(text: str, texts: Mapping[str, str] = TEXTS) -> list[str]:
    """What a module replaces or assigns to in other packages, by dotted names; hooks as well."""
    tree = ast.parse(text)
    known = {own: resolved(name, texts) for own, name in imported(tree).items()}

    def dotted(node: ast.AST) -> str:
        """The foreign name that an expression is; empty if it is none."""
        if isinstance(node, ast.Name):
            return known.get(node.id, "")
        if isinstance(node, ast.Attribute) and (of := dotted(node.value)):
            return f"{of}.{node.attr}"
        return ""

    def foreign(name: str) -> bool:
        return bool(name) and name.split(".")[0] not in OWN and name not in SETTINGS

    for _ in range(3):  # names for parts of modules, and names for parts of these
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    known |= dict(paired(target, node.value, dotted))

    def patched(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Attribute | ast.Name) and dotted(node) in HOOKS:
            yield dotted(node)
        stored = isinstance(getattr(node, "ctx", None), ast.Store | ast.Del)
        if stored and isinstance(node, ast.Attribute):
            yield dotted(node)
        if stored and isinstance(node, ast.Subscript):
            of = dotted(node.value)
            yield of if of == "sys.modules" or of.endswith("__dict__") else ""
        if isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            first = dotted(node.args[0]) if node.args else ""
            if called in ("setattr", "delattr") or dotted(node.func) in WRAPPERS:
                yield first
            if isinstance(node.func, ast.Attribute):
                of = dotted(node.func.value)
                inside = of == "sys.modules" or of.endswith("__dict__")
                yield of if inside and node.func.attr in WRITES else ""
                yield first if node.func.attr in ("__setattr__", "__delattr__") else ""
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None), *(one.name for one in node.names)]
            yield from (name for name in names if name and name.startswith("unittest.mock"))

    return sorted({name for node in ast.walk(tree) for name in patched(node) if foreign(name)})


def paired(target: ast.AST, value: ast.AST, dotted) -> Iterator[tuple[str, str]]:
    """The names that an assignment gives to foreign things."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, own in zip(target.elts, value.elts, strict=False):
            yield from paired(one, own, dotted)
    elif isinstance(target, ast.Name) and (name := dotted(value)):
        yield target.id, name


@pytest.mark.parametrize("module", TEXTS)
def test_nothing_of_another_package_is_assigned_to(module: str) -> None:
    assert find_patches(TEXTS[module]) == []


@pytest.mark.parametrize("line, found", read_cases(__file__)["patches"])
def test_an_assignment_would_be_found(line: str, found: str) -> None:
    head = """
import functools, sys
import numpy as np
from dvc.repo import Repo
from graft.models.framework import keras
"""
    assert find_patches(head + line) == [found]


@pytest.mark.parametrize(
    "line", ["sys.dont_write_bytecode = True", "model = np.zeros(3)\nmodel.flags.writeable = False"]
)
def test_settings_and_objects_of_ones_own_are_let_through(line: str) -> None:
    assert find_patches(f"import sys\nimport numpy as np\n{line}") == []


def test_no_start_of_python_is_changed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    names = listed.stdout.splitlines()
    assert not [n for n in names if n.endswith((".pth", "sitecustomize.py", "usercustomize.py"))]
    assert ".pth" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
