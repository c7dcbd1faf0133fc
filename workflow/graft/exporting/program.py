"""`use.py`: the short program beside an export, which needs its runtime and no graft."""

from graft.exporting.formats import FORMATS
from graft.models.description import ModelDescription

# The line that makes the photo a square, as `decode` does it.
_SQUARES = {
    "stretch": "photo = photo.resize(({side}, {side}), Image.Resampling.BICUBIC, reducing_gap=3.0)",
    "crop": (
        "edge = min(photo.size)\n"
        "left, top = (photo.width - edge) / 2, (photo.height - edge) / 2\n"
        "box = (left, top, left + edge, top + edge)\n"
        "photo = photo.resize(({side}, {side}), Image.Resampling.BICUBIC, box, reducing_gap=3.0)"
    ),
    "pad": (
        'photo = ImageOps.pad(photo, ({side}, {side}), Image.Resampling.BICUBIC, color="white")'
    ),
}
# By format: what to import, and the lines from `pixels` to the probabilities of one image.
_RUNTIMES = {
    "keras": (
        "import keras",
        'model = keras.saving.load_model(here / "model.keras", compile=False)\n'
        "probabilities = model.predict(pixels, verbose=0)[0]",
    ),
    "saved_model": (
        "import tensorflow as tf",
        'model = tf.saved_model.load(str(here / "model"))\n'
        'probabilities = model.serve(pixels)["probabilities"][0].numpy()',
    ),
    "onnx": (
        "import onnxruntime",
        'model = onnxruntime.InferenceSession(here / "model.onnx")\n'
        'probabilities = model.run(["probabilities"], {"pixels": pixels})[0][0]',
    ),
    "openvino": (
        "import openvino",
        "# Where the processor has bfloat16, OpenVINO would round to it without this hint.\n"
        'settings = {"INFERENCE_PRECISION_HINT": "f32"}\n'
        'model = openvino.Core().compile_model(here / "model.xml", "CPU", settings)\n'
        "probabilities = model(pixels)[0][0]",
    ),
    "tflite": (
        "from ai_edge_litert.interpreter import Interpreter",
        'model = Interpreter(str(here / "model.tflite"))\n'
        'probabilities = model.get_signature_runner()(pixels=pixels)["probabilities"][0]',
    ),
}
_PROGRAM = '''"""Says what a photo shows: python use.py PHOTO, after pip install {packages}"""

import json
import sys
from pathlib import Path

import numpy as np
{imported}
from PIL import Image, ImageOps

here = Path(__file__).parent
classes = json.loads((here / "model.json").read_text(encoding="utf-8"))["classes"]
photo = Image.open(sys.argv[1])
photo.draft("RGB", ({double}, {double}))  # a large JPEG is read at a fraction of its size
photo = ImageOps.exif_transpose(photo).convert("RGBA")
photo = Image.alpha_composite(Image.new("RGBA", photo.size, "white"), photo).convert("RGB")
{square}
pixels = np.asarray(photo)[None]  # uint8 (1, {side}, {side}, 3), RGB
{run}
best = int(np.argmax(probabilities))
print(f"{{classes[best]}} {{probabilities[best]:.4f}}")
'''


def write_program(kind: str, description: ModelDescription) -> str:
    """The text of a program that prints the class of a photo and its probability.

    Of pictures that are not 8-bit grey or colour it reads less than graft does.

    Args:
        kind: of FORMATS.
        description: of the model: side and fit.
    """
    imported, run = _RUNTIMES[kind]
    side = description.side
    return _PROGRAM.format(
        packages=" ".join(["numpy", "pillow", *install_runtime(kind)]),
        imported=imported,
        square=_SQUARES[description.fit].format(side=side),
        run=run,
        side=side,
        double=2 * side,
    )


def install_runtime(kind: str) -> tuple[str, ...]:
    """The packages that run a format, as they are installed."""
    return ("keras", "tensorflow") if kind == "keras" else (FORMATS[kind].runtime,)
