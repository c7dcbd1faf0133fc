"""How fast images are decoded, hashed and resized: graft beside plain Pillow and tf.data.

    uv run python benchmarks/decoding.py [FOLDER]

Without a folder of JPEGs, two sets are generated: 20,000 pictures of 32 pixels, and 1,000 photos of
2000 × 1500. graft also compares each file with its id and computes a perceptual hash; the others
only decode and resize. Every way uses all cores of this process. The better of two rounds counts,
since other programs only make it slower.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from graft.common.parallel import count_cores
from graft.images.decoding import decode_files
from graft.images.files import File, identity

ROUNDS = 2


def photo(seed: int, width: int, height: int) -> bytes:
    """A JPEG of smooth forms under the noise of a camera."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(draw.uniform(5, 40) * x + draw.uniform(5, 40) * y) for _ in range(3)]
    pixels = 128 + 70 * np.stack(waves, -1) + draw.normal(0, 6, (height, width, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=88)
    return file.getvalue()


def with_graft(paths: list[Path], side: int) -> Iterable[np.ndarray]:
    """As the stage `tensors` does it."""

    def read() -> Iterable[File]:
        for path in paths:
            data = path.read_bytes()
            identity(data)
            yield File(str(path), data)

    for _, image in decode_files(read(), side, "stretch"):
        yield image.pixels


def with_pillow(paths: list[Path], side: int) -> Iterable[np.ndarray]:
    """A thread a core, since Pillow decodes outside Python's lock."""

    def read(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        return np.asarray(small)

    with ThreadPoolExecutor(count_cores()) as pool:
        yield from pool.map(read, paths)


def with_tensorflow(paths: list[Path], side: int) -> Iterable[np.ndarray]:
    """As the guides of Keras do it."""
    import tensorflow as tf

    def read(path: "tf.Tensor") -> "tf.Tensor":
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (side, side))

    dataset = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    dataset = dataset.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(2)
    for batch in dataset:
        yield from batch.numpy()


WAYS: dict[str, Callable[[list[Path], int], Iterable[np.ndarray]]] = {
    "graft": with_graft,
    "Pillow": with_pillow,
    "tf.data": with_tensorflow,
}


def measure(name: str, paths: list[Path], side: int) -> None:
    """Prints images a second for each way, and the ratio of graft to each."""
    rates = dict.fromkeys(WAYS, 0.0)
    for _ in range(ROUNDS):
        for way, run in WAYS.items():
            start = time.perf_counter()
            count = sum(1 for _ in run(paths, side))
            rates[way] = max(rates[way], count / (time.perf_counter() - start))
    rated = ", ".join(
        f"{way} {rate:,.0f}" + ("" if way == "graft" else f" (graft ×{rates['graft'] / rate:.2f})")
        for way, rate in rates.items()
    )
    print(f"{name}, to {side} px, {count_cores()} cores, images/s: {rated}", flush=True)


def main() -> None:
    """Measures the JPEGs of a folder, or the two sets."""
    if len(sys.argv) > 1:
        paths = sorted(p for p in Path(sys.argv[1]).rglob("*") if p.suffix.lower() in _JPEG)
        measure(f"{len(paths):,} files of {sys.argv[1]}", paths, 160)
        return
    with tempfile.TemporaryDirectory() as folder:
        for count, width, height, side in ((20_000, 32, 32, 32), (1000, 2000, 1500, 160)):
            paths = [Path(folder, f"{width}-{number}.jpg") for number in range(count)]
            photos = [photo(seed, width, height) for seed in range(50)]
            for number, path in enumerate(paths):
                path.write_bytes(photos[number % len(photos)])
            measure(f"{count:,} JPEGs of {width} × {height}", paths, side)


_JPEG = (".jpg", ".jpeg")

if __name__ == "__main__":
    main()
