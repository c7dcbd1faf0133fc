"""What running a frozen part once costs beside running it in every epoch.

    uv run python benchmarks/cut.py

Prints for a few networks how many multiply-adds Keras does forward in a second, and what `costs.py`
decides by: what one of OpenVINO and one of training cost in those, and what the start of OpenVINO
(in G) and a byte of a file do. The best of a few rounds counts, since other programs only ever make
it slower.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from graft import architectures, costs, inference, models
from graft.arrays import Growing, Stored
from graft.framework import keras

ROUNDS, IMAGES = 4, 64
NETWORKS = (("cnn", 32), ("MobileNetV2", 160), ("InceptionV3", 150), ("VGG16", 96))


def least(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The seconds of the fastest round, after one that does not count."""
    work()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def network(name: str, side: int, folder: Path) -> tuple[float, float, float, float]:
    """Multiply-adds a second of Keras forward, of Keras training and of OpenVINO, and its start.

    The last is the seconds from a model to the first output of its graph.
    """
    backbone = architectures.backbone(name, side, "none", "avg", 1)
    model = keras.Sequential([backbone, keras.layers.Dense(10, "softmax")])
    for layer in backbone.get_layer(architectures.BODY).layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    draw = np.random.default_rng(1)
    images = draw.integers(0, 256, (IMAGES, side, side, 3)).astype(np.float32)
    labels = draw.integers(0, 10, IMAGES)
    graph = folder / f"{name}.xml"
    start = time.perf_counter()
    models.save_graph(backbone, graph)
    list(inference.run(graph, [images[:1]]))
    start = time.perf_counter() - start
    # Compiling a graph costs the same for few images as for many.
    many = list(inference.in_batches(np.concatenate([images] * 3)))
    open_ = least(lambda: list(inference.run(graph, many)))
    open_ = (open_ - least(lambda: list(inference.run(graph, many[: len(many) // 3])))) / 2
    forward = least(lambda: [model.predict_on_batch(half) for half in np.split(images, 2)])
    trained = least(
        lambda: [
            model.train_on_batch(*half)
            for half in zip(np.split(images, 2), np.split(labels, 2), strict=True)
        ]
    )
    work = IMAGES * costs.multiply_adds(backbone)
    return work / forward, work / trained, work / open_, start


def files(folder: Path, width: int = 40_000, rows: int = 4_000) -> tuple[float, float]:
    """Bytes of float16 outputs written and read a second, in batches as in a training."""
    path, draw = folder / "outputs.npy", np.random.default_rng(1)
    batch = draw.normal(size=(inference.BATCH, width // 2)).astype(np.float32)

    def write() -> None:
        with Growing(path, np.float16) as array:
            for _ in range(rows // inference.BATCH):
                array.add(batch.astype(np.float16))

    def read() -> None:
        order = np.random.default_rng(2).permutation(rows)
        for start in range(0, rows, 32):
            keras.ops.convert_to_tensor(Stored(path)[order[start : start + 32]], "float32")

    size = rows * width
    return size / least(write), size / least(read)


def main() -> None:
    """Prints a line a network, then one of files."""
    print(f"{'':12}{'G/s':>8}{'OpenVINO':>10}{'trained':>10}{'start (G)':>10}")
    with tempfile.TemporaryDirectory(prefix=".part-", dir=".") as name:
        folder, speeds = Path(name), []
        for network_, side in NETWORKS:
            forward, trained, open_, start = network(network_, side, folder)
            speeds.append(forward)
            ratios = (
                f"{forward / open_:10.2f}{forward / trained:10.2f}{start * forward / 1e9:10.0f}"
            )
            print(f"{network_:12}{forward / 1e9:8.1f}{ratios}", flush=True)
        middle = float(np.median(speeds))
        print(f"{'median':12}{middle / 1e9:8.1f}")
        written, read = files(folder)
    print(
        f"a byte: written {middle / written:.0f}, read {middle / read:.0f} multiply-adds"
        f" ({written / 1e6:,.0f} and {read / 1e6:,.0f} MB/s)"
    )


if __name__ == "__main__":
    main()
