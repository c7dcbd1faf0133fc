"""Answers for single photos by the project's model, which stays ready between them."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from graft.common.errors import UserError
from graft.images.decoding import decode
from graft.prediction.answers import best_labels
from graft.prediction.chosen import OWN_MODELS, open_model
from graft.serving.collection import sign_file

_NAME = OWN_MODELS[0]  # the model that fine-tuning has chosen
_GRAPH, _NETWORK = Path(f"data/models/{_NAME}.xml"), Path("data/backbone/graph.xml")
_FILES = (*(graph.with_suffix(end) for graph in (_GRAPH, _NETWORK) for end in (".xml", ".bin")),)


class Tried(NamedTuple):
    """What the model says of a photo.

    Attributes:
        labels: the likeliest classes with their confidences, 0–1, best first.
        outputs: float32 (width,), of the network at all its stored layers; None where there is no
            network.
        pixels: uint8 (side, side, 3), what the network sees.
    """

    labels: list[tuple[str, float]]
    outputs: np.ndarray | None
    pixels: np.ndarray


class ReadyModel:
    """The model and the network of the project, loaded when they are first needed.

    `graft predict` runs batches of a fixed size, so that no bit of an answer depends on the other
    photos. For one photo at a time that takes up to sixteen times as long; here the batch is one,
    and the last digits of a confidence may differ.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signs: Mapping[Path, Any] = {}
        self._about: Any = None
        self._graphs: dict[Path, Any] = {}

    def say_missing(self) -> str | None:
        """How to make the model, where there is none yet; else None."""
        if sign_file(_GRAPH) is not None:
            return None
        return f"There is no model yet ({_GRAPH}): `uv run snakemake --cores all` makes it."

    def answer(self, data: bytes, count: int) -> Tried:
        """Answers for one photo.

        Args:
            data: the bytes of an image file.
            count: how many classes to name.

        Raises:
            UserError: there is no model yet, or it is damaged.
            Undecodable: the photo cannot be read.
        """
        with self._loaded() as (about, graphs):
            look = (about.side, about.fit, about.background, about.white_level)
            pixels = decode(data, *look).pixels
            batch = pixels[None].astype(np.float32)
            confidences = next(iter(graphs[_GRAPH](batch).values()))[0]
            if not np.isfinite(confidences).all():
                raise UserError("some answers are not finite numbers: the model is damaged")
            outputs = None
            if _NETWORK in graphs:
                outputs = next(iter(graphs[_NETWORK](batch).values()))[0].copy()
            return Tried(best_labels(confidences, about.classes, count), outputs, pixels)

    @contextmanager
    def _loaded(self) -> Iterator[tuple[Any, dict[Path, Any]]]:
        """The description and the compiled graphs, loaded anew if a build has written others."""
        with self._lock:
            signs = {path: sign_file(path) for path in _FILES}
            if self._signs != signs or not self._graphs:
                self._graphs = {}
                with open_model(_NAME) as model:
                    self._about = model.description
                side = self._about.side
                found = [path for path in (_GRAPH, _NETWORK) if signs[path] is not None]
                self._graphs = {path: _compile(path, side) for path in found}
                self._signs = signs
            yield self._about, self._graphs


def _compile(graph: Path, side: int) -> Any:
    """A graph that is ready for one picture of a side in pixels at a time."""
    import openvino as ov
    from openvino import properties

    core = ov.Core()
    model = core.read_model(graph)
    model.reshape([1, side, side, 3])
    # As the pipeline computes; without it some processors would take bfloat16.
    return core.compile_model(model, "CPU", {properties.hint.inference_precision: ov.Type.f32})
