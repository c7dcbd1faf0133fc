"""What `dvc.yaml` declares for a stage is all that the stage uses, and no less."""

import ast
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from graft.project import parameters
from graft.project import pipeline as declared

PACKAGE = Path(declared.CODE)
DOCUMENT = YAML(typ="safe").load(Path("dvc.yaml").read_text(encoding="utf-8"))
# What starts a stage; it imports the stage's module by name and adds nothing to its result.
LAUNCHER = {"__init__", "__main__", "cli"}


def imported(module: str) -> set[str]:
    """The modules of the package that the source of `module` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "graft":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("graft."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("graft.")}
    return found


def closure(module: str) -> set[str]:
    """A module with all that it imports, directly or not."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        found |= waiting
        waiting = set().union(*(imported(name) for name in waiting)) - found
    return found


@pytest.mark.parametrize("stage", DOCUMENT["stages"])
def test_a_stage_declares_the_modules_it_imports(stage: str) -> None:
    body = DOCUMENT["stages"][stage].get("do", DOCUMENT["stages"][stage])
    listed = [dep for dep in body["deps"] if dep.startswith(declared.CODE)]
    modules = sorted(Path(dep).stem for dep in listed if dep.endswith(".py"))
    assert modules == sorted(closure(stage) - LAUNCHER)


@pytest.mark.parametrize("stage", DOCUMENT["stages"])
def test_a_stage_declares_parameters_that_exist_in_order(stage: str) -> None:
    listed = list(declared.parameters(stage))
    assert listed == sorted(listed)
    assert set(listed) <= set(parameters.flatten(parameters.read()))


def test_every_parameter_is_read_by_a_stage() -> None:
    listed = {key for stage in DOCUMENT["stages"] for key in declared.parameters(stage)}
    assert listed == set(parameters.flatten(parameters.read()))


def test_the_shards_are_counted_right() -> None:
    shards = DOCUMENT["vars"][0]["shards"]
    assert shards["keys"] == list(range(shards["count"]))


@pytest.mark.parametrize("stage", ["split", "head", "finetune", "evaluate"])
def test_every_shard_is_read(stage: str) -> None:
    for key in declared.keys(stage) or ("",):
        address = f"{stage}@{key}" if key else stage
        inputs = declared.declaration(address, parameters.read()).inputs
        shards = {name: [path.stem for path in paths] for name, paths in inputs.items()}
        for name in shards:
            if name.startswith(("tensors", "features")):
                assert shards[name] == list(declared.keys("tensors")), (address, name)
