"""Transfer learning and fine-tuning as Keras' guide has it, with MobileNetV2.

    python keras_finetuning.py FOLDER WEIGHTS EPOCHS

After https://keras.io/guides/transfer_learning/: random flips and small rotations, a new head that
is trained on the frozen network, then all layers with a low rate; the network's batch normalisation
stays in inference mode. Both trainings have as many epochs.
"""

import sys

import keras

folder, weights, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
train, valid = (
    keras.utils.image_dataset_from_directory(
        folder, image_size=(160, 160), validation_split=0.2, subset=part, seed=1, verbose=False
    ).prefetch(2)
    for part in ("training", "validation")
)
names = keras.utils.image_dataset_from_directory(folder, verbose=False).class_names
network = keras.applications.MobileNetV2(
    include_top=False, weights=None if weights == "none" else weights, input_shape=(160, 160, 3)
)
network.trainable = False
inputs = keras.Input((160, 160, 3))
x = keras.layers.RandomFlip("horizontal")(inputs)
x = keras.layers.RandomRotation(0.03)(x)
x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
x = network(x, training=False)
x = keras.layers.GlobalAveragePooling2D()(x)
x = keras.layers.Dropout(0.2)(x)
model = keras.Model(inputs, keras.layers.Dense(len(names), "softmax")(x))
for trainable, rate in ((False, 1e-3), (True, 1e-5)):
    network.trainable = trainable
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(train, epochs=epochs, validation_data=valid, verbose=0)
print(model.evaluate(valid, verbose=0)[1])
