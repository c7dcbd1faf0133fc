"""Which model answers: that of the project, the head on its network, or a file from anywhere."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from graft.common.arrays import INFERENCE_BATCH
from graft.common.errors import UserError, refuse
from graft.common.tables import read_json
from graft.images import files
from graft.images.suggestions import suggest_near
from graft.models.description import ModelDescription, read_description
from graft.project import pipeline
from graft.project.parameters import read_parameters

# The names of a project's own models; `finetuned` is the one that fine-tuning has chosen.
OWN_MODELS = ("finetuned", "head")
_MODELS, _BACKBONE = Path("data/models"), Path("data/backbone/graph.xml")
_LAYER = Path("data/depth/layer.json")
_KINDS = (".keras", ".xml")
_MAKE = "`uv run snakemake --cores all` makes it"
# What the head and the network are made from, by the stage: where one of these is not as DVC
# recorded it, they may be of two settings. Parameters and images may have changed since.
_TOGETHER = {
    "backbone": (_BACKBONE, _BACKBONE.with_suffix(".bin")),
    "features": (_BACKBONE.parent,),
    "depth": (_LAYER,),
    "head": (Path("data/features"), _LAYER, *(_MODELS / f"head.{k}" for k in ("xml", "bin"))),
}


class GraphStep(NamedTuple):
    """A graph of OpenVINO, and what of its output goes on.

    Attributes:
        graph: the `.xml` file.
        columns: of the output; None for all.
    """

    graph: Path
    columns: slice | None = None


class ChosenModel(NamedTuple):
    """A model that is ready to answer.

    Attributes:
        name: `finetuned`, `head` or the path of a file.
        description: what it says of itself.
        steps: what its pixels go through, float32 (batch, side, side, 3) to (batch, classes).
    """

    name: str
    description: ModelDescription
    steps: tuple[GraphStep, ...]


@contextmanager
def open_model(name: str) -> Iterator[ChosenModel]:
    """Finds a model, and checks all that can be wrong with it.

    Args:
        name: one of `OWN_MODELS`, of the project in the present folder, or the path of a `.keras`
            or `.xml` file that says what it is.

    Raises:
        UserError: it is missing, does not say what it is, takes no pixels, or its parts were not
            made together; the message says which command makes it.
    """
    with ExitStack() as stack:
        if name not in OWN_MODELS:
            description, steps = _open_file(Path(name), stack)
        elif name == "head":
            description, steps = _open_head()
        else:
            path = _MODELS / f"{name}.xml"
            description, steps = _describe_own(path), [GraphStep(path)]
        _check_shapes(name, description, steps)
        yield ChosenModel(name, description, tuple(steps))


def _open_file(path: Path, stack: ExitStack) -> tuple[ModelDescription, list[GraphStep]]:
    shown = files.printable(str(path))
    allowed = f"{', '.join(OWN_MODELS)}, or a model file (.keras, .xml) that graft made"
    if not os.path.exists(path):  # noqa: PTH110, unlike that of Path it answers for a long name
        raise refuse("--model", f"{allowed}{suggest_near(path)}", f"{shown} (no such file)")
    if not path.is_file() or path.suffix not in _KINDS:
        kind = "a folder" if path.is_dir() else "another kind of file"
        raise refuse("--model", allowed, f"{shown} ({kind})")
    description = read_description(path)
    if description.inputs != "pixels":
        allowed = "a model of pixels; a head goes on its own network, by --model head"
        raise refuse("--model", allowed, f"{shown}, a model of {description.inputs}")
    if path.suffix == ".xml":
        return description, [GraphStep(path)]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graft-")))
    return description, [GraphStep(_convert(path, folder))]


def _convert(path: Path, folder: Path) -> Path:
    """The graph of a `.keras` file, in another folder."""
    from graft.network.stored_model import NotPlain, read_config

    allowed = "a model that graft made"
    try:
        read_config(path)
    except NotPlain as error:
        raise refuse("--model", allowed, f"{files.printable(str(path))} ({error})") from None
    from graft.models.saving import load_model, save_graph

    graph = folder / "model.xml"
    try:
        save_graph(load_model(path), graph)
    except Exception as error:
        # A file that Keras has not written can make it raise almost anything.
        reason = " ".join(str(error).split())[:300]
        allowed = "a model that Keras can load"
        raise refuse("--model", allowed, f"{files.printable(str(path))} ({reason})") from None
    return graph


def _open_head() -> tuple[ModelDescription, list[GraphStep]]:
    head = _MODELS / "head.xml"
    description = _describe_own(head)
    for path in (_BACKBONE, _LAYER):
        _check_made(path)
    _check_together()
    layer = read_json(_LAYER)
    columns = slice(layer["start"], layer["start"] + layer["width"])
    return description, [GraphStep(_BACKBONE, columns), GraphStep(head)]


def _describe_own(path: Path) -> ModelDescription:
    _check_made(path)
    try:
        return read_description(path)
    except UserError as error:
        raise UserError(f"{_MAKE} anew: {error}") from None


def _check_made(path: Path) -> None:
    if path.is_file():
        return
    if not pipeline.FILE.is_file():
        allowed = f"a file given by --model, or that of a project{pipeline.say_way_up()}"
        raise refuse("the model", allowed, f"no {path} in {Path.cwd()}")
    raise refuse(str(path), f"there: {_MAKE}", "no such file")


def _check_together() -> None:
    """Refuses the head and the network of a project that is in the middle of a change.

    Raises:
        UserError: by the records of DVC they may not belong together, or it has none.
    """
    from graft.scheduling.dvc_memory import DvcMemory

    stages = pipeline.declarations(read_parameters())
    for address, changes in DvcMemory(stages).ask().items():
        watched = _TOGETHER.get(address.partition("@")[0], ())
        for path in map(Path, _changed_paths(changes)):
            if path in watched:
                allowed = f"made together with its network: {_MAKE} so"
                raise refuse("the head", allowed, f"{path}, changed since")


def _changed_paths(changes: Sequence[Any]) -> Iterator[str]:
    for change in changes:
        if not isinstance(change, dict):
            continue
        for what in change.values():
            yield from what if isinstance(what, dict) else ()


def _check_shapes(name: str, description: ModelDescription, steps: Sequence[GraphStep]) -> None:
    """Checks that the graphs take and give what the description says."""
    import openvino

    shape: tuple[int, ...] = (description.side, description.side, 3)
    for step in steps:
        try:
            model = openvino.Core().read_model(step.graph)
            (given,), (result,) = model.inputs, model.outputs
            takes = given.partial_shape
            model.reshape([INFERENCE_BATCH, *shape])
            gives = list(result.shape)
        except (RuntimeError, ValueError) as error:
            raise _wrong_graph(name, step, " ".join(str(error).split())[-200:]) from None
        if not takes.compatible(openvino.PartialShape([INFERENCE_BATCH, *shape])):
            raise _wrong_graph(name, step, f"inputs of {takes}, not {shape}")
        if step.columns is None:
            width = wanted = len(description.classes)
            good = gives == [INFERENCE_BATCH, width]
        else:
            width, wanted = step.columns.stop - step.columns.start, step.columns.stop
            good = gives[:-1] == [INFERENCE_BATCH] and gives[-1] >= wanted
        if not good:
            raise _wrong_graph(name, step, f"outputs of {gives}, not {wanted} a photo")
        shape = (width,)


def _wrong_graph(name: str, step: GraphStep, problem: str) -> UserError:
    where = step.graph if name in OWN_MODELS else name
    allowed = "a graph of the shapes that its description says"
    return refuse(repr(files.printable(str(where))), allowed, problem)
