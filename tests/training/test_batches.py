"""Batches that another thread makes ahead of the steps, and the changes of their images."""

import threading
from collections.abc import Generator
from contextlib import closing

import numpy as np
import pytest

from graft.augmentation.by_step import StepAugmentation
from graft.augmentation.random_layers import build_augmentation
from graft.common.errors import UserError
from graft.models.framework import keras
from graft.training.batches import Batches, made_ahead
from graft.training.loop import compile_model, fit
from graft.training.steps import Steps, predict_rows

SETTINGS = {
    "test.epochs": 3,
    "test.patience": 3,
    "test.monitor": "val_loss",
    "test.stop_by": "monitor",
}
OFF = {"flip": "none", "rotation": 0, "shift": 0, "zoom": 0, "brightness": 0, "contrast": 0}
ON = OFF | {"flip": "horizontal", "rotation": 20, "zoom": 0.2, "seed": 5}
CHANGES = {f"augment.{name}": value for name, value in ON.items()}


class Points:
    """Rows to learn from, of which one may be unreadable."""

    def __init__(self, n: int, broken: int = -1) -> None:
        self.labels = np.arange(n) % 3
        points = np.random.default_rng(n).normal(size=(n, 3)) + np.eye(3)[self.labels]
        self._points, self._broken = points.astype(np.float32), broken

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which) -> np.ndarray:
        if self._broken in np.arange(len(self))[which]:
            raise UserError("row 7 cannot be read")
        return self._points[which]


def small_model() -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    compile_model(model, keras.optimizers.Adam(0.01))
    return model


def running() -> int:
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_items_come_in_their_order_and_few_wait() -> None:
    made = []

    def items() -> Generator[int]:
        try:
            for number in range(20):
                made.append(number)
                yield number
        finally:
            made.append("closed")

    with closing(made_ahead(items(), 3)) as ahead:
        for number in range(5):
            assert next(ahead) == number and len(made) <= number + 5
    assert made[-1] == "closed" and len(made) <= 10 and not running()
    made.clear()
    assert list(made_ahead(items(), 3)) == list(range(20)) and made[-1] == "closed"


def test_an_error_of_the_other_thread_is_the_error_of_the_training() -> None:
    valid = Batches(Points(9), 3)
    with pytest.raises(UserError, match=r"^row 7 cannot be read$"):
        fit("test", SETTINGS, small_model(), Batches(Points(30, broken=7), 5, 1), valid)
    assert not running()

    def prepare(batches, first):
        for number, batch in enumerate(batches, first):
            if number == 8:  # in the second epoch
                raise UserError("no more")
            yield batch

    with pytest.raises(UserError, match=r"^no more$"):
        fit("test", SETTINGS, small_model(), Batches(Points(30), 5, 1), valid, prepare=prepare)
    assert not running()


def test_a_training_ends_once_its_patience_does() -> None:
    """Labels by chance: soon no epoch is better, and none is trained in vain."""
    train, valid = Points(30), Points(9)
    train.labels = np.random.default_rng(0).permutation(train.labels)
    steps = []

    def prepare(batches, first):
        for batch in batches:
            steps.append(1)
            yield batch

    settings = SETTINGS | {"test.epochs": 500, "test.patience": 2}
    parts = Batches(train, 5, 1), Batches(valid, 3)
    history = fit("test", settings, small_model(), *parts, prepare=prepare)
    losses = history["val_loss"]
    assert len(history) < 500 and losses.idxmin() == len(history) - 3
    assert len(steps) <= 6 * len(history) + 4  # what waits, and one in the making


def test_steps_are_those_of_keras() -> None:
    part, batches = Points(50), Batches(Points(50), 8, class_weight="balanced")
    model = small_model()
    found, outputs = Steps(model).test(batches), predict_rows(model, batches)()
    assert found == model.evaluate(batches, verbose=0, return_dict=True)
    assert np.array_equal(outputs, model.predict(batches, verbose=0)) and len(outputs) == len(part)
    steps = Steps(model)
    for batch in batches.epochs(0, 1):
        steps.train(batch)
    trained, other = model.get_weights(), small_model()
    other.fit(Batches(Points(50), 8, class_weight="balanced"), epochs=1, verbose=0, shuffle=False)
    assert not np.array_equal(trained[0], other.get_weights()[0])  # Keras shuffles batches
    third = small_model()
    third.fit(Batches(Points(50), 8, class_weight="balanced"), epochs=1, verbose=0)
    assert all(map(np.array_equal, trained, third.get_weights()))


def test_changes_are_a_function_of_the_step() -> None:
    """Those that the layers of Keras draw one after the other, whichever come first."""
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    layers = build_augmentation(CHANGES, 8)
    expected = [np.asarray(layers(images, training=True)) for _ in range(4)]
    changes = StepAugmentation(CHANGES, 8)
    for step in (2, 0, 3, 1, 0):
        assert np.allclose(changes.at(step, images), expected[step], atol=1e-3)
    assert not np.allclose(expected[0], expected[1], atol=1)
    assert changes.at(1, images).tobytes() == StepAugmentation(CHANGES, 8).at(1, images).tobytes()
