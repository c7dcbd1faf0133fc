"""A study as its file declares it: settings, each a difference to a recipe, and seeds.

# Heads on the same features          the title
recipe: photos                        where all settings begin
seeds: 3                              how many, or a list of them
always: {finetune.unfreeze: none}     what all settings have besides
settings:                             by name, what each has besides
  small: {image.side: 96}
grid: {head.kind: [logistic, svm]}    every setting with each of these values
published: {small: 84 %}              what others report for a setting, as text

With `study: NAME` in place of `recipe` it is another study, with what this file has besides.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graft.common.errors import UserError, nearest, refuse
from graft.integrity.ground import flatten
from graft.integrity.yaml12 import NoYaml, read_yaml, read_yaml_file
from graft.project.parameters import show_value
from graft.project.recipes import change_parameters, compose_parameters

STUDIES = Path("workflow/studies")
_FORM = (
    "a study: recipe or study, seeds, always, and settings or grid, each a mapping of parameters by"
    " dotted key (workflow/graft/studies/declaration.py has an example)"
)
# The parameters that a seed of a study sets. The split keeps its own: all settings are judged by
# the same images.
_SEEDS = ("head.seed", "augment.seed", "finetune.seed")
_OF_WEIGHTS = "backbone.seed"  # too, of a network whose weights are drawn
# Each run trains with one seed: the study repeats it.
_ONCE = {"head.repeats": 1, "finetune.repeats": 1}
_LARGEST_SEED = 2**31 - 1
_MOST_RUNS = 1000
_LONGEST_TITLE = 200  # characters
_JOINED = ("always", "settings", "published")  # with those of the study that a file names

_Seed = Annotated[int, Field(strict=True, ge=0, le=_LARGEST_SEED)]
_Some = Annotated[list[Any], Field(min_length=1)]


class _Content(BaseModel):
    """What a file may hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    recipe: str
    seeds: Annotated[int, Field(ge=1, le=_MOST_RUNS)] | Annotated[list[_Seed], Field(min_length=1)]
    always: dict[str, Any] = {}
    settings: dict[str, dict[str, Any] | None] = {"": None}
    grid: dict[str, _Some] = {}
    published: dict[str, str | int | float] = {}


class StudySetting(NamedTuple):
    """One setting of a study.

    Attributes:
        name: of the setting, for people.
        changes: how it differs from the recipe and from what all settings have, by dotted key.
        published: what others report for it; empty where nobody does.
    """

    name: str
    changes: Mapping[str, Any]
    published: str


class Study(NamedTuple):
    """A study.

    Attributes:
        name: by which it is asked for, and its experiments begin.
        title: one line.
        recipe: where all settings begin.
        always: what all settings have besides, by dotted key.
        settings: in the order of the file.
        seeds: each setting runs with every one.
    """

    name: str
    title: str
    recipe: str
    always: Mapping[str, Any]
    settings: tuple[StudySetting, ...]
    seeds: tuple[int, ...]


class PlannedRun(NamedTuple):
    """One run of a study.

    Attributes:
        setting: that it tries.
        seed: that it is trained with.
        experiment: the name of its experiment of DVC.
        text: its params.yaml.
    """

    setting: StudySetting
    seed: int
    experiment: str
    text: str

    @property
    def values(self) -> dict[str, Any]:
        """Its parameters by dotted key."""
        return flatten(read_yaml(self.text.encode()))


def find_study(asked: str) -> Path:
    """The file of a study.

    Args:
        asked: the name of one of the project, or a file .yaml.

    Raises:
        UserError: there is no such study.
    """
    known = {path.stem: path for path in sorted(STUDIES.glob("*.yaml"))}
    path = known.get(asked, Path(asked))
    if path.suffix != ".yaml" or not path.is_file():
        allowed = f"a file .yaml, or one of {', '.join(known)}{nearest(asked, known)}"
        raise refuse("a study", allowed, asked)
    return path


def list_studies() -> dict[str, str]:
    """The studies of the project in this folder, by name: the title of each."""
    return {path.stem: _read_title(path) for path in sorted(STUDIES.glob("*.yaml"))}


def read_study(path: Path, seeds: int | None = None) -> Study:
    """Reads a study.

    Args:
        path: its file.
        seeds: so many instead of those that the file names.

    Raises:
        UserError: the file is no study, has too many runs, or two settings have the same name.
    """
    try:
        content = _Content.model_validate(_read_whole(path, []))
    except ValidationError as error:
        raise _explain(path, error) from None
    settings = tuple(_combine(path, content))
    numbers = seeds or content.seeds
    chosen = tuple(range(1, numbers + 1)) if isinstance(numbers, int) else tuple(numbers)
    runs = len(settings) * len(chosen)
    if runs > _MOST_RUNS:
        received = f"{len(settings)} settings with {len(chosen)} seeds"
        raise refuse(str(path), f"{_MOST_RUNS:,} runs at most", received)
    if len(set(chosen)) < len(chosen):
        raise refuse(f"{path}: seeds", "each of them once", list(chosen))
    name = _shorten(path.stem) or "study"
    always = flatten(content.always)
    return Study(name, _read_title(path), content.recipe, always, settings, chosen)


def _read_whole(path: Path, before: Sequence[Path]) -> Any:
    """What a file holds, after what the study has that it names.

    Args:
        path: of the file.
        before: the files that lead to it, each by its name in the one before.

    Raises:
        UserError: a file cannot be read, there is no such study, or one leads back to itself.
    """
    try:
        own = read_yaml_file(path)
    except (NoYaml, OSError) as error:
        raise refuse(str(path), f"YAML in UTF-8, {_FORM}", str(error)) from None
    if not isinstance(own, dict) or not isinstance(own.get("study"), str):
        return own
    named = find_study(own.pop("study"))
    if named in (seen := [*before, path]):
        raise refuse(f"{path}: study", "one that does not lead back to this one", str(named))
    found = _read_whole(named, seen)
    if not isinstance(found, dict):
        return found
    return found | own | {key: _join(found.get(key, {}), own.get(key)) for key in _JOINED}


def _join(first: Any, second: Any) -> Any:
    """Two mappings as one, and so for the mappings in them; else the second, if there is one."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first | {name: _join(first.get(name), value) for name, value in second.items()}
    return first if second is None else second


def plan_runs(
    study: Study, images: str | None, given: Mapping[str, Any], by_seed: bool
) -> list[PlannedRun]:
    """All runs of a study, in their order; the parameters of each setting are checked.

    Args:
        study: the study.
        images: the value of `dataset.path`; None for that of the recipe or of the settings.
        given: what all settings have besides, unless they say otherwise, by dotted key.
        by_seed: whether the first seed of all settings comes before the second of any, which suits
            a study that may be stopped. Otherwise a setting comes after the other, which lets runs
            share more of what the run before has left.

    Raises:
        UserError: the parameters of a setting are not valid, or all settings say otherwise.
    """
    for key in given:
        if all(key in setting.changes for setting in study.settings):
            raise refuse("--set", f"of a parameter that not all settings of {study.name} set", key)
    source = {} if images is None else {"dataset.path": images}
    runs = []
    for setting in study.settings:
        changes = {**study.always, **given, **_ONCE, **setting.changes, **source}
        try:
            text = compose_parameters(study.recipe, changes)
        except UserError as error:
            raise UserError(f"setting {setting.name} of study {study.name}: {error}") from None
        drawn = flatten(read_yaml(text.encode()))["backbone.weights"] == "none"
        for seed in study.seeds:
            own = dict.fromkeys((*_SEEDS, *((_OF_WEIGHTS,) if drawn else ())), seed)
            experiment = f"{study.name}-{_shorten(setting.name)}-seed{seed}"
            runs.append(PlannedRun(setting, seed, experiment, change_parameters(text, own)))
    return sorted(runs, key=lambda run: study.seeds.index(run.seed)) if by_seed else runs


def _combine(path: Path, content: _Content) -> Iterator[StudySetting]:
    """Every setting with each combination of the values of the grid."""
    grid = content.grid
    published = {name: str(text) for name, text in content.published.items()}
    names: list[str] = []
    for name, changes in content.settings.items():
        for values in itertools.product(*grid.values()):
            point = dict(zip(grid, values, strict=True))
            parts = [name, *(f"{_last(key)} {show_value(value)}" for key, value in point.items())]
            full = ", ".join(part for part in parts if part)
            names.append(full)
            text = published.get(full, published.get(name, ""))
            yield StudySetting(full, flatten(changes or {}) | point, text)
    short = [_shorten(name) for name in names]
    for name, own in zip(names, short, strict=True):
        if not own or short.count(own) > 1:
            allowed = "names that differ in letters and digits"
            raise refuse(f"{path}: settings", allowed, name)
    if unknown := [name for name in published if name and name not in {*names, *content.settings}]:
        allowed = f"of a setting{nearest(unknown[0], names)}"
        raise refuse(f"{path}: published", allowed, unknown[0])


def _last(key: str) -> str:
    """The name of a parameter without its section."""
    return key.rpartition(".")[2]


def _shorten(name: str) -> str:
    """A name in small letters, digits and dashes, as the name of an experiment has it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _read_title(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        line = file.readline(_LONGEST_TITLE).strip()
    return line.lstrip("# ") if line.startswith("#") else path.stem


def _explain(path: Path, error: ValidationError) -> UserError:
    first = error.errors()[0]
    place: Sequence[Any] = first["loc"]
    where = f"{path}: {'.'.join(map(str, place))}" if place else str(path)
    received = "nothing" if first["type"] == "missing" else first["input"]
    return refuse(where, _FORM, received)
