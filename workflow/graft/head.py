"""Train a new head over the features."""

import numpy as np

from graft.atomic import whole
from graft.rows import rows
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes the best head, from features to class probabilities, and its history."""
    stage = Stage("head", arguments)
    files = (
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs("features_npy"),
        stage["dataset.classes"],
    )
    train, valid = rows("train", *files), rows("valid", *files)
    from graft import models, training
    from graft.framework import keras

    keras.utils.set_random_seed(stage["head.seed"])
    model = build(train[:], len(train.classes), stage["head.hidden"], stage["head.dropout"])
    model.compile(
        keras.optimizers.Adam(stage["head.learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    batch, class_weight = stage["head.batch"], stage["head.class_weight"]
    history = training.fit(
        "head",
        model,
        training.Batches(train, batch, stage["head.seed"], class_weight),
        training.Batches(valid, batch, class_weight=class_weight),
        stage["head.epochs"],
        stage["head.patience"],
        {"head.learning_rate": stage["head.learning_rate"]},
    )
    names = ("models_head_keras", "models_head_xml", "models_head_bin", "head_history_csv")
    with whole(*(stage.output(name) for name in names)) as (network, graph, _, table):
        models.save(model, network)
        models.save_graph(model, graph)
        training.write_history(table, history)


def build(features: np.ndarray, classes: int, hidden: list[int], dropout: float):
    """A head of dense layers over standardised features.

    Args:
        features: float32 (n, d) of the training part; their mean and variance standardise, since
            the features of different networks differ a thousandfold in scale.
        classes: how many classes there are.
        hidden: the width of each ReLU layer before the softmax.
        dropout: the fraction of inputs dropped before each dense layer while training.

    Returns:
        A model from float32 (batch, d) to float32 (batch, classes), probabilities.
    """
    from graft.framework import keras

    wide = features.astype(np.float64)
    scaling = keras.layers.Normalization(
        mean=wide.mean(0).astype(np.float32),
        variance=wide.var(0).astype(np.float32),
        name="standardise",
    )
    inputs = keras.Input((features.shape[1],), name="features")
    x = scaling(inputs)
    for number, width in enumerate(hidden, 1):
        x = keras.layers.Dropout(dropout, name=f"dropout_{number}")(x)
        x = keras.layers.Dense(width, "relu", name=f"hidden_{number}")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(classes, "softmax", name="probabilities")(x)
    return keras.Model(inputs, x, name="head")
