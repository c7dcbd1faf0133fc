"""Models as files: the same model, the same bytes."""

import importlib.util
import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from graft.common.atomic import whole
from graft.common.errors import refuse
from graft.models.description import EPOCH
from graft.models.framework import keras, quiet, tf
from graft.models.keras_files import KERAS_CONFIG

# What OpenVINO itself calls such a graph where it is the first of a process.
_ONE_OUTPUT = "Model3"
# What TensorFlow calls the nodes of a model that is traced as a whole.
_SCOPE = "{}_1"
# The number in the name of the first constant of a process.
_FIRST_CONSTANT = 2


@dataclass(frozen=True)
class BuiltModel:
    """A model of Keras that is to be saved."""

    model: keras.Model

    @property
    def inputs(self) -> str:
        """The name of its input."""
        return self.model.input.name

    def save(self, path: Path) -> None:
        """Saves it as `.keras`."""
        save_model(self.model, path)

    def save_graph(self, path: Path) -> None:
        """Saves it as a graph, `.xml`."""
        save_graph(self.model, path)


def save_model(model: keras.Model, path: Path) -> None:
    """Saves a model as `.keras`, without the time of saving and without how it was trained.

    Keras writes the time into `metadata.json` and into the zip entries, and memory addresses into
    `config.json`, so that equal models differ as files and all that depends on them would be made
    again. Of a compiled model it writes the optimizer, twice the weights again, even where it is
    asked not to, and the loss, which may be one of graft's own and missing where the model is used.
    So a model of the same layers that was never compiled is saved.
    """
    raw = path.with_name("raw.keras")
    if model.compiled:
        model = keras.Model(model.input, model.output, name=model.name)
    model.save(raw)
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(path, "w") as new:
        for name in sorted(old.namelist()):
            data = old.read(name)
            if name.endswith(".json"):
                data = _without_chance(data)
            new.writestr(zipfile.ZipInfo(name, EPOCH), data)
    raw.unlink()


def _without_chance(text: bytes) -> bytes:
    """JSON of Keras without the time, with shared objects numbered in the order of appearance."""
    seen: dict[bytes, bytes] = {}
    text = re.sub(
        rb'(?<="shared_object_id": )\d+',
        lambda address: seen.setdefault(address[0], b"%d" % (len(seen) + 1)),
        text,
    )
    content = json.loads(text)
    content.pop("date_saved", None)
    return json.dumps(content, sort_keys=True).encode()


def load_model(path: Path) -> keras.Model:
    """Loads a model that `save_model` wrote.

    Raises:
        UserError: it has layers of KerasHub, which is not installed.
    """
    with zipfile.ZipFile(path) as archive:
        if b'"keras_hub.' in archive.read(KERAS_CONFIG):
            import_hub(str(path))
    with calm():
        return keras.models.load_model(path, compile=False)


def import_hub(what: str) -> ModuleType:
    """KerasHub, which is of an extra.

    Args:
        what: needs it.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("keras_hub") is None:
        allowed = "where KerasHub is installed, of the extra hub: `uv sync --extra hub`"
        raise refuse(what, allowed, "no package keras_hub")
    with quiet():
        import keras_hub
    return keras_hub


@contextmanager
def calm() -> Iterator[None]:
    """Silences a warning of Keras 3.15 about nested models, whose weights it loads well."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping nested container", UserWarning)
        yield


def save_graph(model: keras.Model, path: Path) -> None:
    """Saves a model as an OpenVINO graph in float32: `.xml`, with its weights beside it.

    The bytes are those of `model.export(…, format="openvino")` in a new process, in less of the
    time: Keras traces a model twice, and OpenVINO searches all variables for each of them, so they
    are constants here. Names count all nodes that OpenVINO has made in the process, which depends
    on the number of cores; here they are counted anew.

    Args:
        model: of one input and one output.
        path: the `.xml` file.
    """
    import openvino

    inputs = model.inputs[0]
    spec = tf.TensorSpec(inputs.shape, inputs.dtype, inputs.name)
    kinds = model.trainable_variables, model.non_trainable_variables
    values = [[variable.numpy() for variable in kind] for kind in kinds]

    def call(images: tf.Tensor) -> tf.Tensor:
        constants = [[*map(tf.constant, kind)] for kind in values]
        with tf.name_scope(_SCOPE.format(model.name)):
            return model.stateless_call(*constants, images)[0]

    traced = tf.function(call, [spec], autograph=False).get_concrete_function()
    before = _count_nodes()
    graph = openvino.convert_model(traced)
    _count_anew(graph, before)
    node = graph.inputs[0].get_node()
    node.set_friendly_name(inputs.name)
    graph.inputs[0].tensor.set_names({inputs.name})
    openvino.serialize(graph, path)
    graph = openvino.Core().read_model(path)
    if len(graph.outputs) > 1:
        # TensorFlow's own swish has outputs for its gradient, which end up as outputs of the graph.
        # Those of the model come first.
        first = openvino.Model(graph.get_results()[:1], graph.get_parameters(), _ONE_OUTPUT)
        # The graph that was read has the old weights mapped to memory.
        with whole(path, path.with_suffix(".bin")) as (part, _):
            openvino.serialize(first, part)


def _count_nodes() -> int:
    """How many nodes of graphs OpenVINO has made in this process, by the names of two new ones."""
    from openvino import opset16

    names = [opset16.constant(0.0).get_friendly_name() for _ in range(2)]
    one, other = (int(name.rpartition("_")[2]) for name in names)
    return other + (other - one) - _FIRST_CONSTANT  # the next one, less what it would be at first


def _count_anew(graph: Any, before: int) -> None:
    """Gives nodes that are called by their number the one that the first graph of a process has."""
    for node in graph.get_ops():
        kind, _, number = node.get_friendly_name().rpartition("_")
        if kind.isalpha() and number.isdecimal() and int(number) > before:
            node.set_friendly_name(f"{kind}_{int(number) - before}")
