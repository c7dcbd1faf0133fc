"""Runs an OpenVINO graph over many rows, with the same bytes on any number of cores."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import properties

from graft.common.arrays import INFERENCE_BATCH, RowSource, in_batches
from graft.common.errors import refuse
from graft.common.parallel import count_all_cores, count_cores

_TYPES = {"float32": ov.Type.f32, "bfloat16": ov.Type.bf16}
_CAPABILITIES = properties.device.capabilities


def run_graph(graph: Path, rows: RowSource, precision: str = "float32") -> Iterator[np.ndarray]:
    """The outputs of a graph with one input and one output.

    Args:
        graph: the `.xml` file, with its `.bin` beside it.
        rows: the inputs (n, …), of any number type, read as they are needed.
        precision: float32, or bfloat16.

    Yields:
        float32 arrays (at most INFERENCE_BATCH, …), one for each batch, in the order of the rows.

    Raises:
        UserError: the processor does not compute in this precision.
    """
    return run_batches(graph, in_batches(rows), precision)


def run_batches(
    graph: Path, batches: Iterable[np.ndarray], precision: str = "float32"
) -> Iterator[np.ndarray]:
    """The same for inputs that come batch by batch, of which only a few are in memory.

    One stream a core with one thread each is both the fastest setting for throughput and the one
    in which the number of cores cannot change a bit: no sum is divided among threads.

    Args:
        graph: the `.xml` file, with its `.bin` beside it.
        batches: inputs (at most INFERENCE_BATCH, …), taken as they are needed.
        precision: float32, or bfloat16: of products and what is between layers; sums are float32.

    Yields:
        A float32 array for each, (as many, …).

    Raises:
        UserError: the processor does not compute in this precision.
    """
    core = ov.Core()
    if precision == "bfloat16" and "BF16" not in core.get_property("CPU", _CAPABILITIES):
        allowed = "float32 on this processor, which does not compute in bfloat16"
        raise refuse("params.yaml: features.precision", allowed, precision)
    model = core.read_model(graph)
    model.reshape([INFERENCE_BATCH, *list(model.input().partial_shape)[1:]])
    batches = iter(batches)
    ahead = [*islice(batches, 2)]
    # A single batch keeps one stream busy, and each stream takes time to be made.
    count = count_cores() if len(ahead) > 1 else 1
    settings = {
        properties.hint.inference_precision: _TYPES[precision],
        properties.num_streams: count,
        properties.inference_num_threads: count,
        # Tied to cores, it is a tenth faster; but of several processes each would take the first
        # ones, and leave the others idle.
        properties.hint.enable_cpu_pinning: count == count_all_cores(),
    }
    compiled = core.compile_model(model, "CPU", settings)
    free = [compiled.create_infer_request() for _ in range(2 * count)]
    running: deque[tuple[ov.InferRequest, int]] = deque()

    def finish() -> np.ndarray:
        request, length = running.popleft()
        request.wait()
        free.append(request)
        return request.get_output_tensor().data[:length].copy()

    for batch in chain(ahead, batches):
        if not free:
            yield finish()
        request = free.pop()
        # The last batch is filled up with zeros.
        into = request.get_input_tensor().data
        into[: len(batch)], into[len(batch) :] = batch, 0
        request.start_async()
        running.append((request, len(batch)))
    while running:
        yield finish()
