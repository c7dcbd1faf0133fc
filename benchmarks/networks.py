"""Features of a network: the stage's own way beside Keras, and beside OpenVINO alone."""

import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.measuring import Row
from benchmarks.projects import Bench

_IMAGES = {"MobileNetV2": 1600, "InceptionV3": 400}
_BATCH = 32  # of `predict`, its default


def compare(bench: Bench, name: str, side: int, wanted: tuple[float, float]) -> Iterator[Row]:
    """Images a second of a network with random weights, in float32 and bfloat16.

    Args:
        bench: says how many rounds.
        name: of a class of `keras.applications`.
        side: of the images in pixels.
        wanted: the ratios to `predict` in float32 and bfloat16.
    """
    import time

    import openvino as ov
    from openvino import properties

    from graft.common.arrays import INFERENCE_BATCH
    from graft.models.framework import keras
    from graft.models.inference import run_graph
    from graft.models.saving import save_graph

    count = _IMAGES[name]
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)
    )
    graph = bench.folder / f"{name}.xml"
    save_graph(network, graph)
    rows = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    core = ov.Core()
    has_bfloat16 = "BF16" in core.get_property("CPU", properties.device.capabilities)
    precisions = {"float32": ov.Type.f32} | ({"bfloat16": ov.Type.bf16} if has_bfloat16 else {})

    def with_keras() -> None:
        network.predict(rows, verbose=0)

    def with_graft(precision: str) -> None:
        for _ in run_graph(graph, rows, precision):
            pass

    def alone(precision: str) -> None:
        """What OpenVINO reaches by its own hint, with inputs that are ready."""
        model = core.read_model(graph)
        model.reshape([INFERENCE_BATCH, side, side, 3])
        hint = properties.hint
        settings = {
            hint.performance_mode: hint.PerformanceMode.THROUGHPUT,
            hint.inference_precision: precisions[precision],
        }
        queue = ov.AsyncInferQueue(core.compile_model(model, "CPU", settings))
        batch = rows[:INFERENCE_BATCH].astype(np.float32)
        for _ in range(count // INFERENCE_BATCH):
            queue.start_async({0: batch})
        queue.wait_all()

    ways = {("keras", "float32"): with_keras}
    for precision in precisions:
        ways["graft", precision] = lambda precision=precision: with_graft(precision)
        ways["alone", precision] = lambda precision=precision: alone(precision)
    with_keras()  # it is traced once
    rates: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    for _ in range(bench.rounds):
        for way, work in ways.items():
            start = time.perf_counter()
            work()
            rates[way].append(count / (time.perf_counter() - start))
    middle = {way: statistics.median(found) for way, found in rates.items()}
    for precision, least in zip(precisions, wanted, strict=False):
        mine = middle["graft", precision]
        for other, against, ratio in (
            (("keras", "float32"), "`keras.Model.predict`", least),
            (("alone", precision), "OpenVINO alone", 0.9),
        ):
            yield Row(
                f"features, {name} at {side}, {precision}",
                against,
                mine / middle[other],
                ratio,
                f"{mine:.0f}, {middle[other]:.0f} images/s",
            )
