"""The house: which room a stage lists, which way imports go, and that a name has one meaning."""

import ast
import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graft.integrity.ground import flatten
from graft.integrity.yaml12 import read_yaml_file
from graft.project.launcher import find_module, select_parameters
from graft.project.parameters import read_parameters
from graft.project.pipeline import PACKAGE, declarations, stage_names
from images import ROOT
from sources import SOURCES, closure

STAGES = stage_names()
DECLARED = declarations(read_parameters())
HEAVY = {"tensorflow", "keras", "openvino"}
# What starts without TensorFlow: all but the stages that cannot do anything without it.
LIGHT = [
    *("graft.cli", "graft.project.launcher", "graft.scheduling.engines", "graft.project.recipes"),
    *(find_module(stage) for stage in STAGES if stage not in ("backbone", "evaluate")),
    *(
        f"graft.tools.{name}"
        for name in ("use", "compare", "classify", "predict", "export", "test")
    ),
    *("graft.tools.open", "graft.tools.relabel"),
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_the_rooms_that_it_imports(stage: str) -> None:
    used = {name.split(".")[1] for name in closure(find_module(stage), later=True) & set(SOURCES)}
    for declaration in DECLARED:
        if declaration.address.partition("@")[0] == stage:
            assert {room.name for room in declaration.rooms} == used


def test_a_change_makes_stale_what_it_can_change() -> None:
    """A change of the training loop trains anew and no more; one of a measure trains nothing."""

    def stages_with(room: str) -> set[str]:
        own = [stage for stage in DECLARED if room in {path.name for path in stage.rooms}]
        return {stage.address.partition("@")[0] for stage in own}

    assert stages_with("training") == {"head", "finetune"}
    assert stages_with("augmentation") == {"views", "finetune"}
    assert stages_with("statistics") == {"warnings", "cross_validation", "evaluate", "report"}


@pytest.mark.parametrize("module", LIGHT)
def test_what_needs_no_tensorflow_does_not_import_it(module: str) -> None:
    packages = {name.partition(".")[0] for name in closure(module, later=False)}
    assert not packages & HEAVY


def test_the_decoder_stands_alone() -> None:
    """It goes with exports, into a folder of any name, to where graft is not."""
    allowed = {*sys.stdlib_module_names, "numpy", "PIL", "pillow_heif"}
    for path in (ROOT / PACKAGE / "decoder").iterdir():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))) if path.suffix == ".py" else ():
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= allowed, path
            elif isinstance(node, ast.ImportFrom) and node.level != 1:
                assert str(node.module).partition(".")[0] in allowed, path


def test_each_stage_has_a_rule() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    found = re.findall(r"^(?:rule|use rule manifest as) (\w+)", rules, flags=re.MULTILINE)
    assert sorted(found) == sorted(STAGES)


def test_what_settings_are_chosen_by_leads_the_table_of_experiments() -> None:
    """`dvc exp show` has a column for each metric: no others, so that it fits a terminal."""
    stages = read_yaml_file(ROOT / "dvc.yaml")["stages"]
    bodies = [stage.get("do", stage) for stage in stages.values()]
    metrics = [next(iter(out)) for body in bodies for out in body.get("metrics", [])]
    assert metrics == ["reports/${key}/summary.json"]


def test_plots_are_of_files_that_every_build_has() -> None:
    """Of any other file, such as a log, `dvc plots` says that it failed to load."""
    outputs = {str(path) for declaration in DECLARED for path in declaration.outputs}
    for plot in read_yaml_file(ROOT / "dvc.yaml")["plots"]:
        for body in plot.values():
            assert set(body["y"]) <= outputs


def test_each_declared_parameter_exists_and_each_parameter_is_declared() -> None:
    flat = flatten(read_parameters())
    used = set[str]()
    for declaration in DECLARED:
        for name in declaration.parameters:
            own = set(select_parameters(replace(declaration, parameters=(name,)), flat))
            assert own, (declaration.address, name)
            # The report declares all of them, but computes with few.
            used |= own if name else set()
    assert used | {"report.smoothing"} == set(flat)


def public(path: Path) -> set[str]:
    """The functions, classes and constants that a module makes, without an underscore."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets: list[Any] = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def test_a_public_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for module, path in SOURCES.items():
        for name in public(path) - {"main"}:
            places[name].append(module)
        places[module.rpartition(".")[2]].append(module)
    # A room and its stage may share a name, as a stage and its module do.
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_a_module_fits_in_the_head() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in SOURCES.items()}
    assert {name: count for name, count in lines.items() if count > 330} == {}
    folders = [path for path in (ROOT / PACKAGE).iterdir() if path.is_dir()]
    modules = {folder.name: [*folder.glob("[!_]*.py")] for folder in folders}
    assert {name: len(own) for name, own in modules.items() if len(own) > 12} == {}
