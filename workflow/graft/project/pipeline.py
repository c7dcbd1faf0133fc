"""What `dvc.yaml` declares: the one place that says which stage reads and writes what.

DVC reads the file itself. The rules of Snakemake take inputs and outputs from here, and so does the
launcher, which hands them to the stage.
"""

import graphlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graft.common.errors import UserError, refuse
from graft.integrity.earlier import BY_ROW
from graft.integrity.harmless import check_folders, check_inside
from graft.integrity.libraries import VERSIONS
from graft.integrity.yaml12 import NoYaml, read_yaml_file

FILE = Path("dvc.yaml")
CODE = Path("workflow")
PACKAGE = CODE / "graft"
# Into how many shards the images are divided. It is no parameter: results do not depend on it.
SHARDS = Path("workflow/shards.yaml")
MOST_SHARDS = 10_000
_PARAMETERS = "params.yaml"
FORCE = "--force"  # after the command of a stage: it runs even if nothing has changed
FROZEN = "frozen"  # a trait: `dvc freeze` keeps the stage from running
_EXPRESSION = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Declaration:
    """One stage as `dvc.yaml` declares it, with the key of a `foreach` stage filled in.

    Attributes:
        address: the stage's address in DVC, such as `tensors@0`.
        command: what DVC runs for it.
        parameters: the sections and dotted keys of params.yaml that the stage may read; an empty
            text means all of it.
        rooms: the folders of the package whose code the stage runs.
        inputs: the files that it reads. Instead of a folder that other stages write into, the
            files that they declare in it: other files there are of an earlier build.
        outputs: the files that it writes.
        dependencies: rooms and inputs as `dvc.yaml` lists them, folders as such.
        libraries: the rooms whose libraries it computes with.
        by_row: the dependencies whose content the stage knows row by row.
        traits: what its `meta` in `dvc.yaml` says of it: the keys that are true; and `frozen`.
    """

    address: str
    command: str
    parameters: tuple[str, ...]
    rooms: tuple[Path, ...]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    dependencies: tuple[Path, ...] = ()
    libraries: tuple[str, ...] = ()
    by_row: tuple[Path, ...] = ()
    traits: frozenset[str] = frozenset()


@cache
def _document() -> dict[str, Any]:
    if not FILE.is_file():
        raise UserError(
            f"there is no {FILE} here: run graft in the project's folder{say_way_up()}."
            f" Received: {Path.cwd()}"
        )
    try:
        document = read_yaml_file(FILE)
    except NoYaml as error:
        raise UserError(f"{FILE} must be YAML with each key once. Received: {error}") from None
    try:
        outputs = [
            Path(out)
            for entry in document["stages"].values()
            for out in _list_outputs(entry.get("do", entry))
        ]
    except (LookupError, AttributeError, TypeError, StopIteration):
        raise refuse(str(FILE), "stages with their outputs, as DVC has them", "others") from None
    for output in outputs:
        check_inside(str(FILE), output)
    # Stages of a person's own beside graft's are DVC's alone.
    own = {name: entry for name, entry in document["stages"].items() if _is_of_graft(entry)}
    return document | {"stages": own}


def _is_of_graft(entry: Mapping[str, Any]) -> bool:
    command = entry.get("do", entry).get("cmd")
    return isinstance(command, str) and command.split()[:1] == ["graft"]


def check_stage(name: str) -> None:
    """Checks that there is a stage, for which `workflow/rules` has a rule.

    Raises:
        UserError: `dvc.yaml` does not have it.
    """
    if name not in _document()["stages"]:
        raise UserError(
            f"{FILE} must have the stage {name}, as each of workflow/rules: `git checkout {FILE}`"
            f" brings it back. Received: {', '.join(_document()['stages'])}"
        )


def say_way_up() -> str:
    """In a folder inside of a project, how to get to the project's; otherwise nothing."""
    here = Path.cwd()
    for steps, folder in enumerate(here.parents, start=1):
        if (folder / FILE).is_file() and (folder / PACKAGE).is_dir():
            return f" (cd {'/'.join(['..'] * steps)})"
    return ""


def stage_names() -> dict[str, str]:
    """The stages, without their keys, in the order of `dvc.yaml`: what each of them does."""
    return {name: _body(name).get("desc", "") for name in _document()["stages"]}


def stage_keys(stage: str) -> tuple[str, ...]:
    """The keys of a `foreach` stage, as text, in the order of `dvc.yaml`; none for a plain one."""
    items = _document()["stages"][stage].get("foreach", ())
    if isinstance(items, str):
        items = _look_up(items[2:-1], _variables())
    return tuple(str(item) for item in items)


def find_stages_with(trait: str) -> list[str]:
    """The stages whose `meta` in `dvc.yaml` has a key that is true."""
    return [
        name for name in _document()["stages"] if _body(name).get("meta", {}).get(trait) is True
    ]


def declarations(values: Mapping[str, Any]) -> list[Declaration]:
    """Every stage, each after those whose outputs it reads.

    Args:
        values: the parameters as nested mappings, which fill in `${dataset.path}` and the like.
    """
    addresses = [
        (stage, key) for stage in _document()["stages"] for key in stage_keys(stage) or ("",)
    ]
    outputs = {
        (stage, key): _outputs(_body(stage), _scope(stage, key, values)) for stage, key in addresses
    }
    writers = {path: address for address, paths in outputs.items() for path in paths}
    inside: dict[Path, list[Path]] = {}
    for path in writers:
        inside.setdefault(path.parent, []).append(path)
    stages = {
        address: _declare(*address, values, outputs[address], inside) for address in addresses
    }
    readers = {
        address: {writers[path] for path in stage.inputs if path in writers}
        for address, stage in stages.items()
    }
    return [stages[address] for address in graphlib.TopologicalSorter(readers).static_order()]


def output_patterns(stage: str, wildcard: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The outputs of all stages of a `foreach` at once, with `{wildcard}` in place of the key."""
    scope = _scope(stage, f"{{{wildcard}}}", values)
    return tuple(str(path) for path in _outputs(_body(stage), scope))


def _declare(
    stage: str,
    key: str,
    values: Mapping[str, Any],
    outputs: tuple[Path, ...],
    inside: Mapping[Path, list[Path]],
) -> Declaration:
    body, scope = _body(stage), _scope(stage, key, values)
    deps = [Path(_fill(dep, scope)) for dep in body.get("deps", ())]
    rooms = tuple(dep for dep in deps if dep.is_relative_to(PACKAGE))
    inputs = [path for dep in deps if dep not in rooms for path in inside.get(dep, [dep])]
    parameters, meta = body.get("params", ()), body.get("meta", {})
    return Declaration(
        address=f"{stage}@{key}" if key else stage,
        command=_fill(body["cmd"], scope),
        # `params.yaml:` without keys is the whole file.
        parameters=tuple(
            "" if isinstance(name, dict) else name for name in parameters if _is_own(name)
        ),
        rooms=rooms,
        inputs=tuple(inputs),
        outputs=outputs,
        dependencies=tuple(deps),
        libraries=tuple(
            room
            for name in parameters
            if isinstance(name, dict)
            for room in name.get(str(VERSIONS)) or ()
        ),
        by_row=tuple(Path(_fill(path, scope)) for path in meta.get(BY_ROW, ())),
        traits=frozenset(key for key, value in meta.items() if value is True)
        | ({FROZEN} if body.get(FROZEN) else frozenset()),
    )


def _is_own(parameter: str | dict[str, Any]) -> bool:
    """Whether an entry is of params.yaml; what other files say only DVC reads."""
    return isinstance(parameter, str) or _PARAMETERS in parameter


def _body(stage: str) -> dict[str, Any]:
    entry = _document()["stages"][stage]
    return entry.get("do", entry)


def _outputs(body: Mapping[str, Any], scope: Mapping[str, Any]) -> tuple[Path, ...]:
    paths = tuple(Path(_fill(out, scope)) for out in _list_outputs(body))
    for path in paths:
        check_inside(str(FILE), path)
    return paths


def _list_outputs(body: Mapping[str, Any]) -> list[str]:
    # DVC's run cache forgets a stage with an output that is neither cached nor metric nor plot, so
    # small text that belongs into git is declared as one of the latter.
    outs = (out for kind in ("outs", "metrics", "plots") for out in body.get(kind, ()))
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def _scope(stage: str, key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    scope = {**_variables(), **values}
    items = _document()["stages"][stage].get("foreach", ())
    if isinstance(items, dict):
        # What follows from the key alone is the same for all; a wildcard takes that.
        return scope | {"key": key, "item": items.get(key, next(iter(items.values())))}
    return scope | {"item": key} if key else scope


def _variables() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for group in _document().get("vars", ()):
        found |= _read_variables(*_sign_variables(Path(group))) if isinstance(group, str) else group
    return found


def _sign_variables(path: Path) -> tuple[Path, int, int, int]:
    try:
        status = path.stat()
    except OSError:
        raise _refuse_shards(path, "no such file") from None
    return path.absolute(), status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=1)
def _read_variables(path: Path, *signature: int) -> dict[str, Any]:
    """The variables in a file that dvc.yaml names; the signature tells its versions apart."""
    try:
        found = read_yaml_file(path)
        count = found["shards"]["count"]
        good = type(count) is int and 1 <= count <= MOST_SHARDS
        good = good and found == {"shards": list_shards(count)}
    except (NoYaml, OSError, LookupError, TypeError) as error:
        raise _refuse_shards(path, str(error)) from None
    if not good:
        raise _refuse_shards(path, found)
    return found


def list_shards(count: int) -> dict[str, Any]:
    """What workflow/shards.yaml says of so many shards."""
    return {"count": count, "keys": [*range(count)]}


def count_shards() -> int:
    """Into how many shards the images are divided."""
    return _read_variables(*_sign_variables(SHARDS))["shards"]["count"]


def find_leftovers() -> list[Path]:
    """The outputs of shards that there were once, and are not any more.

    Stages depend on the folders of shards as a whole, so DVC would take these files for a change.
    """
    found = []
    for stage, entry in _document()["stages"].items():
        if not isinstance(entry.get("foreach"), str):
            continue
        keys = set(stage_keys(stage))
        for pattern in output_patterns(stage, "*", {}):
            folder, start, end = re.split(r"([^/]*)\{\*\}", pattern)
            for path in Path(folder).glob(f"{start}*{end}"):
                key = path.name[len(start) : len(path.name) - len(end)]
                if key.isdecimal() and key not in keys:
                    found.append(path)
    return found


def remove_leftovers() -> None:
    """Removes them. What DVC has recorded of them is in its cache.

    Raises:
        UserError: the folder of one is a link that leads out of the project.
    """
    leftovers = find_leftovers()
    check_folders(leftovers)
    for path in leftovers:
        path.unlink(missing_ok=True)


def _refuse_shards(path: Path, received: Any) -> UserError:
    allowed = (
        f"a number of shards from 1 to {MOST_SHARDS:,} and their keys, as `graft use --shards auto`"
        " writes them"
    )
    shown = received if isinstance(received, str) else json.dumps(received, default=str)
    where = SHARDS if path.name == SHARDS.name else path
    return refuse(str(where), allowed, shown if len(shown) <= 200 else f"{shown[:199]}…")


def _look_up(expression: str, scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for part in expression.strip().split("."):
        value = value[part]
    return value


def _fill(text: str, scope: Mapping[str, Any]) -> str:
    return _EXPRESSION.sub(lambda match: str(_look_up(match[1], scope)), text)
