"""Which model answers: that of the project, the head on its network, or a file from anywhere."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from graft.common.arrays import INFERENCE_BATCH
from graft.common.errors import UserError, refuse
from graft.common.tables import read_json
from graft.images import files
from graft.images.suggestions import suggest_near
from graft.models.description import ModelDescription, read_description
from graft.project import pipeline
from graft.unknown.neighbours import KnownPhotos, beside, read_known

# The names of a project's own models; `finetuned` is the one that fine-tuning has chosen.
OWN_MODELS = ("finetuned", "head")
_MODELS, _BACKBONE = Path("data/models"), Path("data/backbone/graph.xml")
_LAYER = Path("data/depth/layer.json")
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
        columns: of the output; all without it.
    """

    graph: Path
    columns: slice = slice(None)


class ChosenModel(NamedTuple):
    """A model that is ready to answer.

    Attributes:
        name: `finetuned`, `head` or the path of a file.
        description: what it says of itself.
        steps: what its pixels go through, float32 (batch, side, side, 3) to (batch, classes); with
            known photos to (batch, width + classes), their features first.
        known: the photos that it knows, if it is asked for what is none of its classes.
    """

    name: str
    description: ModelDescription
    steps: tuple[GraphStep, ...]
    known: KnownPhotos | None = None


@contextmanager
def open_model(name: str, unknown: bool = False) -> Iterator[ChosenModel]:
    """Finds a model, and checks all that can be wrong with it.

    Args:
        name: one of `OWN_MODELS`, of the project in the present folder, or the path of a `.keras`
            or `.xml` file that says what it is.
        unknown: whether it has to tell what is none of its classes.

    Raises:
        UserError: it is missing, does not say what it is, takes no pixels, or its parts were not
            made together; the message says which command makes it.
    """
    with ExitStack() as stack:
        model = _open_own(name) if name in OWN_MODELS else _open_file(name, stack)
        _check_shapes(model)
        yield _with_known(model, stack) if unknown else model


def _open_file(name: str, stack: ExitStack) -> ChosenModel:
    """A model file; one of Keras becomes a graph in a temporary folder."""
    path = graph = Path(name)
    allowed = f"{', '.join(OWN_MODELS)}, or a model file (.keras, .xml) that graft made"
    if not os.path.exists(path):  # noqa: PTH110, unlike that of Path it answers for a long name
        raise _refuse_file(path, f"{allowed}{suggest_near(path)}", " (no such file)")
    if not path.is_file() or path.suffix not in (".keras", ".xml"):
        kind = "a folder" if path.is_dir() else "another kind of file"
        raise _refuse_file(path, allowed, f" ({kind})")
    description = read_description(path)
    if description.inputs != "pixels":
        allowed = "a model of pixels; a head goes on its own network, by --model head"
        raise _refuse_file(path, allowed, f", a model of {description.inputs}")
    if path.suffix == ".keras":
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="graft-"))
        graph = Path(folder, "model.xml")
        _convert(path, graph)
    return ChosenModel(name, description, (GraphStep(graph),))


def _convert(path: Path, graph: Path) -> None:
    from graft.network.stored_model import NotPlain, read_config

    try:
        read_config(path)
    except NotPlain as error:
        raise _refuse_file(path, "a model that graft made", f" ({error})") from None
    from graft.models.saving import load_model, save_graph

    try:
        save_graph(load_model(path), graph)
    except Exception as error:
        # A file that Keras has not written can make it raise almost anything.
        reason = " ".join(str(error).split())[:300]
        raise _refuse_file(path, "a model that Keras can load", f" ({reason})") from None


def _refuse_file(path: Path, allowed: str, what: str) -> UserError:
    return refuse("--model", allowed, f"{files.printable(str(path))}{what}")


def _with_known(model: ChosenModel, stack: ExitStack) -> ChosenModel:
    """The model with the photos that it knows, and with its features in front of its answers."""
    from graft.unknown.tapping import tap_features

    own = model.name in OWN_MODELS
    place = beside(_MODELS / f"{model.name}.xml" if own else Path(model.name))
    if not place.is_file():
        made = _MAKE if own else "graft writes it with its models and its exports of these kinds"
        received = f"no {files.printable(str(place))}"
        raise refuse("--unknown", f"asked of a model with known photos beside it: {made}", received)
    known = read_known(place, model.description)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="graft-"))
    both, (*before, last) = Path(folder, "both.xml"), model.steps
    try:
        width = tap_features(last.graph, both)
    except ValueError:
        width = None
    if width != known.directions.shape[1]:
        allowed = f"asked of a model of {known.directions.shape[1]} features"
        raise refuse("--unknown", allowed, f"{files.printable(model.name)} of {width}")
    return model._replace(steps=(*before, GraphStep(both)), known=known)


def _open_own(name: str) -> ChosenModel:
    """A model of the project; the head on its network."""
    graph = _MODELS / f"{name}.xml"
    _check_made(graph)
    try:
        description = read_description(graph)
    except UserError as error:
        raise UserError(f"{_MAKE} anew: {error}") from None
    steps = [GraphStep(graph)]
    if name == "head":
        for path in (_BACKBONE, _LAYER):
            _check_made(path)
        _check_together()
        layer = read_json(_LAYER)
        columns = slice(layer["start"], layer["start"] + layer["width"])
        steps.insert(0, GraphStep(_BACKBONE, columns))
    return ChosenModel(name, description, tuple(steps))


def _check_made(path: Path) -> None:
    if path.is_file():
        return
    if not pipeline.FILE.is_file():
        allowed = f"a file given by --model, or that of a project{pipeline.say_way_up()}"
        raise refuse("the model", allowed, f"no {path} in {Path.cwd()}")
    raise UserError(f"{path} is missing; {_MAKE}")


def _check_together() -> None:
    """Refuses the head and the network of a project that is in the middle of a change.

    Raises:
        UserError: by the records of DVC they may not belong together, or it has none.
    """
    from graft.project.parameters import read_parameters
    from graft.scheduling.dvc_memory import DvcMemory

    stages = pipeline.declarations(read_parameters())
    for address, changes in DvcMemory(stages).ask().items():
        watched = _TOGETHER.get(address.partition("@")[0], ())
        # Changes of anything but files, such as of the command, are texts.
        kinds = [change.values() for change in changes if isinstance(change, dict)]
        for path in map(Path, chain.from_iterable(chain.from_iterable(kinds))):
            if path in watched:
                allowed = f"made together with its network: {_MAKE} so"
                raise refuse("the head", allowed, f"{path}, changed since")


def _check_shapes(model: ChosenModel) -> None:
    """Checks that the graphs take and give what the description says."""
    import openvino

    side, classes = model.description.side, len(model.description.classes)
    shape: tuple[int, ...] = (side, side, 3)
    for step in model.steps:
        try:
            graph = openvino.Core().read_model(step.graph)
            (given,), (result,) = graph.inputs, graph.outputs
            takes = given.partial_shape
            graph.reshape([INFERENCE_BATCH, *shape])
            gives = list(result.shape)
        except (RuntimeError, ValueError) as error:
            raise _wrong_graph(model, step, " ".join(str(error).split())[-200:]) from None
        if not takes.compatible(openvino.PartialShape([INFERENCE_BATCH, *shape])):
            raise _wrong_graph(model, step, f"inputs of {takes}, not {shape}")
        first, wanted = step.columns.start or 0, step.columns.stop or classes
        more = step.columns.stop and gives[:-1] == [INFERENCE_BATCH] and gives[-1] > wanted
        if gives != [INFERENCE_BATCH, wanted] and not more:
            raise _wrong_graph(model, step, f"outputs of {gives}, not {wanted} a photo")
        shape = (wanted - first,)


def _wrong_graph(model: ChosenModel, step: GraphStep, problem: str) -> UserError:
    where = step.graph if model.name in OWN_MODELS else model.name
    allowed = "a graph of the shapes that its description says"
    return refuse(repr(files.printable(str(where))), allowed, problem)
