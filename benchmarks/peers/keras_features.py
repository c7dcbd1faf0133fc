"""A dozen lines of Keras: decode, features of MobileNetV2, a dense head, its accuracy.

python keras_features.py FOLDER WEIGHTS
"""

import sys

import keras
import numpy as np

folder, weights = sys.argv[1:3]
parts = {
    part: keras.utils.image_dataset_from_directory(
        folder, image_size=(160, 160), validation_split=0.2, subset=part, seed=1, verbose=False
    )
    for part in ("training", "validation")
}
network = keras.applications.MobileNetV2(
    include_top=False,
    weights=None if weights == "none" else weights,
    input_shape=(160, 160, 3),
    pooling="avg",
)
scale = keras.applications.mobilenet_v2.preprocess_input
data = {}
for part, batches in parts.items():
    rows = [(network.predict_on_batch(scale(x.numpy())), y.numpy()) for x, y in batches]
    data[part] = [np.concatenate(each) for each in zip(*rows, strict=True)]
classes = len(parts["training"].class_names)
head = keras.Sequential([keras.layers.Dropout(0.2), keras.layers.Dense(classes, "softmax")])
head.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
head.fit(*data["training"], epochs=20, verbose=0)
print(head.evaluate(*data["validation"], verbose=0)[1])
