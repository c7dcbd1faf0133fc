"""The answers of an export in a runtime, without graft: it needs NumPy and the runtime alone.

python run_export.py RUNTIME EXPORT PIXELS ANSWERS
"""

import json
import sys
from pathlib import Path

import numpy as np

runtime, export, given, wanted = sys.argv[1:]
about = json.loads(Path(export, "model.json").read_text(encoding="utf-8"))
model = str(Path(export, about["model"]))
pixels = np.load(given)  # uint8 (n, side, side, 3)
if runtime == "keras":
    import keras

    answers = keras.saving.load_model(model, compile=False).predict(pixels, verbose=0)
elif runtime == "tensorflow":
    import tensorflow as tf

    loaded = tf.saved_model.load(model)
    answers = loaded.serve(pixels)["probabilities"].numpy()
elif runtime == "onnxruntime":
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (answers,) = session.run(["probabilities"], {"pixels": pixels})
elif runtime == "openvino":
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    answers = compiled(pixels)[0]
elif runtime == "opencv":
    import cv2

    network = cv2.dnn.readNetFromONNX(model)
    answers = []
    for image in pixels:
        network.setInput(image[None])
        answers.append(network.forward()[0])
else:
    if runtime == "tensorflow.lite":
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    elif runtime == "tflite-runtime":
        from tflite_runtime.interpreter import Interpreter
    else:
        from ai_edge_litert.interpreter import Interpreter
    run = Interpreter(model).get_signature_runner()
    taken, made = about["input"], about["output"]
    answers = []
    for image in pixels:
        if "scale" in taken:
            image = np.rint(image / taken["scale"]) + taken["zero_point"]
            image = image.clip(-128, 127).astype(np.int8)
        answers.append(run(pixels=image[None])["probabilities"][0])
    if "scale" in made:
        answers = made["scale"] * (np.array(answers, float) - made["zero_point"])
np.save(wanted, np.array(answers))
