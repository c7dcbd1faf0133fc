"""Train the network and its head together, from the trained head (Kumar et al. 2022, LP-FT)."""

from graft.atomic import whole
from graft.rows import rows
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes the best model from pixels 0–255 to class probabilities, and its history."""
    stage = Stage("finetune", arguments)
    files = (
        stage.input("split_csv"),
        stage.inputs("tensors_csv"),
        stage.inputs("tensors_npy"),
        stage["dataset.classes"],
    )
    train, valid = rows("train", *files), rows("valid", *files)
    from graft import models, training
    from graft.augment import augmentation
    from graft.framework import keras
    from graft.rates import optimizer

    seed, batch = stage["finetune.seed"], stage["finetune.batch"]
    keras.utils.set_random_seed(seed)
    backbone = models.load(stage.input("backbone_network_keras"))
    head = models.load(stage.input("models_head_keras"))
    freeze(backbone, stage["finetune.unfreeze"], stage["backbone.weights"] != "none")
    pixels = keras.Input(backbone.input_shape[1:], name="pixels")
    model = keras.Model(pixels, head(backbone(pixels)), name="finetuned")
    change = augmentation(stage, backbone.input_shape[1], seed)
    # The augmentation stands before the model and is no part of it: what is saved has none.
    trained = model if change is None else keras.Model(pixels, model(change(pixels)))
    class_weight = stage["finetune.class_weight"]
    batches = training.Batches(train, batch, seed, class_weight)
    trained.compile(
        optimizer(
            peak=stage["finetune.learning_rate"],
            head_peak=stage["finetune.head_learning_rate"],
            head=head.trainable_variables,
            warmup=stage["finetune.warmup"] * len(batches),
            steps=stage["finetune.epochs"] * len(batches),
            weight_decay=stage["finetune.weight_decay"],
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    print(describe(trained))
    history = training.fit(
        "finetune",
        trained,
        batches,
        training.Batches(valid, batch, class_weight=class_weight),
        stage["finetune.epochs"],
        stage["finetune.patience"],
        {key: stage[key] for key in ("finetune.learning_rate", "finetune.head_learning_rate")},
    )
    names = (
        "models_finetuned_keras",
        "models_finetuned_xml",
        "models_finetuned_bin",
        "finetuned_history_csv",
    )
    with whole(*(stage.output(name) for name in names)) as (network, graph, _, table):
        models.save(model, network)
        models.save_graph(model, graph)
        training.write_history(table, history)


def freeze(backbone, unfreeze: int | str, pretrained: bool) -> None:
    """Makes only the top layers of a backbone trainable.

    Batch normalisation of a pretrained network stays frozen, whatever else is not: with
    `trainable = False` it keeps its moving statistics and uses them, while `training=False` alone
    is overridden inside `fit` (keras#20285).

    Args:
        backbone: the model of the stage `backbone`; its layer `network` is counted.
        unfreeze: `none`, `all`, or how many layers from the top.
        pretrained: whether its weights were learned before.
    """
    from graft.architectures import BODY
    from graft.framework import keras

    network = backbone.get_layer(BODY)
    count = {"none": 0, "all": len(network.layers)}.get(unfreeze, unfreeze)
    backbone.trainable = network.trainable = True
    for number, layer in enumerate(reversed(network.layers)):
        norm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = number < count and not (norm and pretrained)


def describe(model) -> str:
    """One line that says how many parameters are trained and how many are frozen."""
    trained = sum(v.shape.num_elements() for v in model.trainable_variables)
    frozen = sum(v.shape.num_elements() for v in model.non_trainable_variables)
    return f"finetune: {trained:,} parameters trained, {frozen:,} frozen"
