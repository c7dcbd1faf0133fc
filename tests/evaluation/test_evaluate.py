"""The head on the network, where nothing was trained, is evaluated on its features."""

from pathlib import Path

import numpy as np
import pytest

from images import SHARDS, change, run
from trainings import place, start, write_features


@pytest.fixture(params=[0, 1])
def untrained(empty: Path, request: pytest.FixtureRequest) -> int:
    """A folder with the head on the network, where the head begins at one of two depths."""
    place({"finetune.unfreeze": "none"})
    for stage in ("backbone", "views"):
        run(stage)
    start(request.param, unfreeze=0)
    run("finetune")
    write_features()
    return request.param


def predictions(name: str) -> np.ndarray:
    return np.load(f"data/predictions/{name}.npy")


def test_both_models_have_the_same_answers(untrained: int) -> None:
    run("evaluate", "head")
    run("evaluate", "finetuned")
    found = predictions("finetuned")
    assert np.array_equal(found, predictions("head"))
    # In another precision the features are not those of the model, which is run over the pixels.
    change(Path(), {"features.precision": "bfloat16"})
    run("evaluate", "finetuned")
    assert np.allclose(found, predictions("finetuned"), atol=1e-5)
    for shard in range(SHARDS):
        path = Path(f"data/tensors/{shard}.npy")
        np.save(path, np.zeros_like(np.load(path)))
    for precision, same in (("float32", True), ("bfloat16", False)):
        change(Path(), {"features.precision": precision})
        run("evaluate", "finetuned")
        assert np.array_equal(found, predictions("finetuned")) == same
