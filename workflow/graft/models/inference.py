"""Runs an OpenVINO graph over many rows, with the same bytes on any number of cores."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import properties

from graft.common.arrays import RowSource
from graft.common.parallel import count_cores

# A fixed batch, since another one may choose another kernel; the last is filled up with zeros.
INFERENCE_BATCH = 16


def run_graph(graph: Path, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The outputs of a graph with one input and one output.

    One stream a core with one thread each is both the fastest setting for throughput and the one
    in which the number of cores cannot change a bit: no sum is divided among threads.

    Args:
        graph: the `.xml` file, with its `.bin` beside it.
        batches: arrays of shape (at most INFERENCE_BATCH, …), of any number type.

    Yields:
        float32 arrays (as many rows as the batch, …), in the order of the batches.
    """
    core = ov.Core()
    model = core.read_model(graph)
    shape = model.input().partial_shape
    model.reshape([INFERENCE_BATCH, *(shape[i] for i in range(1, len(shape)))])
    count = count_cores()
    compiled = core.compile_model(
        model,
        "CPU",
        {
            properties.hint.inference_precision: ov.Type.f32,
            properties.num_streams: count,
            properties.inference_num_threads: count,
        },
    )
    results: dict[int, np.ndarray] = {}
    queue = ov.AsyncInferQueue(compiled, 2 * count)

    def keep(request: ov.InferRequest, which: tuple[int, int]) -> None:
        number, rows = which
        results[number] = request.get_output_tensor().data[:rows].copy()

    queue.set_callback(keep)
    ready = 0
    for number, batch in enumerate(batches):
        full = np.zeros((INFERENCE_BATCH, *batch.shape[1:]), np.float32)
        full[: len(batch)] = batch
        queue.start_async({0: full}, (number, len(batch)))
        while ready in results:
            yield results.pop(ready)
            ready += 1
    queue.wait_all()
    while ready in results:
        yield results.pop(ready)
        ready += 1


def in_batches(rows: RowSource) -> Iterator[np.ndarray]:
    """Cuts rows into batches of at most `INFERENCE_BATCH`, each read when its turn comes."""
    for start in range(0, len(rows), INFERENCE_BATCH):
        yield rows[start : start + INFERENCE_BATCH]
