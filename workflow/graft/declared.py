"""What `dvc.yaml` declares: the one place that says which stage reads and writes what.

The rules of Snakemake take their inputs and outputs from here, and so do the stages themselves.
A file is called by a name made of its path, so that nothing has to be said twice:
`data/features/3.npy` is `features_npy` and `reports/head/metrics.json`, written by
`evaluate@head`, is `metrics_json`: the parts of the path below the top folder, without the stage's
own key and without a shard's number. Files that share a name are the shards of one thing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from graft.errors import UserError

FILE = Path("dvc.yaml")
CODE = "workflow/graft/"
_EXPRESSION = re.compile(r"\$\{([^}]+)\}")


@dataclass(frozen=True)
class Declaration:
    """One stage as `dvc.yaml` declares it, with the key of a `foreach` stage filled in.

    Attributes:
        name: the stage's address in DVC, such as `tensors@0`.
        command: what DVC runs for it.
        parameters: the dotted keys of params.yaml that the stage may read.
        code: the modules of this package that the stage imports, directly or not.
        inputs: its other dependencies by name; more than one path where there are shards.
        outputs: what it writes, by name.
    """

    name: str
    command: str
    parameters: tuple[str, ...]
    code: tuple[Path, ...]
    inputs: Mapping[str, tuple[Path, ...]]
    outputs: Mapping[str, tuple[Path, ...]]


@cache
def _document() -> dict[str, Any]:
    if not FILE.is_file():
        raise UserError(
            f"there is no {FILE} here: run graft in the project's folder. Received: {Path.cwd()}"
        )
    return YAML(typ="safe").load(FILE.read_text(encoding="utf-8"))


def keys(stage: str) -> tuple[str, ...]:
    """The keys of a `foreach` stage, as text, in the order of `dvc.yaml`; none for a plain one."""
    items = _document()["stages"][stage].get("foreach", ())
    if isinstance(items, str):
        items = _lookup(items[2:-1], _variables())
    return tuple(str(item) for item in items)


def addresses() -> tuple[str, ...]:
    """Every stage's address in DVC, such as `split` or `tensors@0`, in the order of `dvc.yaml`."""
    found = []
    for stage in _document()["stages"]:
        found += [f"{stage}@{key}" for key in keys(stage)] or [stage]
    return tuple(found)


def parameters(stage: str) -> tuple[str, ...]:
    """The dotted keys of params.yaml that `dvc.yaml` lists for a stage, named without its key."""
    return tuple(_body(stage).get("params", ()))


def declaration(address: str, values: Mapping[str, Any]) -> Declaration:
    """The declaration of one stage.

    Args:
        address: the stage's address in DVC, such as `split` or `tensors@0`.
        values: the parameters as nested mappings, which fill in `${dataset.path}` and the like.

    Raises:
        UserError: there is no such stage, or its key is missing or unknown.
    """
    stage, _, key = address.partition("@")
    if stage not in _document()["stages"] or (key or None) not in (keys(stage) or (None,)):
        raise UserError(f"a stage must be one of {', '.join(addresses())}. Received: {address!r}")
    return _declaration(stage, key, values)


def pattern(stage: str, wildcard: str, values: Mapping[str, Any]) -> Declaration:
    """The declaration of all stages of a `foreach` at once, with `{wildcard}` in place of the key.

    Where each key has values of its own, those of the first are filled in, so only what follows
    from the key alone is right for every stage; that is so for all outputs.
    """
    return _declaration(stage, f"{{{wildcard}}}", values)


def _declaration(stage: str, key: str, values: Mapping[str, Any]) -> Declaration:
    scope = {**_variables(), **values}
    if key:
        items = _document()["stages"][stage]["foreach"]
        if isinstance(items, dict):
            scope |= {"key": key, "item": items.get(key, next(iter(items.values())))}
        else:
            scope |= {"item": key}
    body = _body(stage)
    deps = [_fill(dep, scope) for dep in body.get("deps", ())]
    # DVC's run cache forgets a stage with an output that is neither cached nor metric nor plot, so
    # small text that belongs into git is declared as one of the latter.
    outs = [out for kind in ("outs", "metrics", "plots") for out in body.get(kind, ())]
    outs = [_fill(out if isinstance(out, str) else next(iter(out)), scope) for out in outs]
    return Declaration(
        name=f"{stage}@{key}" if key else stage,
        command=_fill(body["cmd"], scope),
        parameters=parameters(stage),
        code=tuple(Path(dep) for dep in deps if dep.startswith(CODE)),
        inputs=_named((dep for dep in deps if not dep.startswith(CODE)), body, key, scope),
        outputs=_named(outs, body, key, scope),
    )


def _body(stage: str) -> dict[str, Any]:
    entry = _document()["stages"][stage]
    return entry.get("do", entry)


def _variables() -> dict[str, Any]:
    return {name: value for group in _document().get("vars", ()) for name, value in group.items()}


def _lookup(expression: str, scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for part in expression.strip().split("."):
        value = value[part]
    return value


def _fill(text: str, scope: Mapping[str, Any]) -> str:
    return _EXPRESSION.sub(lambda match: str(_lookup(match[1], scope)), text)


def _named(
    paths: Any, body: Mapping[str, Any], key: str, scope: Mapping[str, Any]
) -> dict[str, tuple[Path, ...]]:
    named: dict[str, tuple[Path, ...]] = {}
    dataset = str(_lookup("dataset.path", scope))
    for path in map(Path, paths):
        # The user's own data set may be called anything, so its name here does not follow its path.
        name = "dataset" if str(path) == str(Path(dataset)) else _name(path, key)
        named[name] = (*named.get(name, ()), path)
    return named


def _name(path: Path, key: str) -> str:
    parts = [*path.parts[1:-1], path.stem]
    kept = [part for part in parts if part != key and not part.isdigit()]
    return re.sub(r"\W", "_", "_".join(kept) + path.suffix)
