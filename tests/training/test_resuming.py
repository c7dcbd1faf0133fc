"""A training that was killed goes on after its last whole epoch, and ends with the same bytes."""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from digits import digits, store
from forks import serve_forks
from graft.integrity.ground import flatten
from graft.models.framework import keras
from graft.models.layers import apply_stack
from graft.models.stacks import VECTOR_KINDS, read_stack
from graft.parts.rows import Rows
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from graft.project.scratch import SCRATCH, clear_scratch, find_scratch
from graft.project.upstream import describe_stage
from graft.scheduling.fork_server import VARIABLE
from graft.training import resuming
from graft.training.batches import Batch, Batches
from graft.training.loop import compile_model, fit
from graft.training.optimizers import two_rates
from graft.training.states import read_state, write_state
from images import Capture, change, run
from trainings import blobs, place, start


class Interruption(BaseException):
    """What a signal raises in the main thread."""


class Interrupted(Batches):
    """Batches of a training that is interrupted in the last step of its epoch `last`, from 1."""

    def __init__(self, part: Rows, last: int) -> None:
        self._epoch, self._last = -1, last  # orders are drawn twice before the first epoch
        super().__init__(part, 16, 1)

    def __getitem__(self, index: int) -> Batch:
        self._left -= 1
        if self._epoch == self._last and not self._left:
            raise Interruption
        return super().__getitem__(index)

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        self._epoch += 1
        self._left = len(self)


@pytest.fixture(autouse=True)
def each_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short it is."""
    monkeypatch.setattr(resuming, "_SHARE", 1e9)


def train(
    optimizer: str, epochs: int, folder: Path | None, last: int = 99, patience: int = 9, **changes
) -> tuple[pd.DataFrame, list[np.ndarray]] | None:
    """A small training with dropout, moving statistics, two rates and a warm-up.

    Returns:
        Its history and the best weights; None where it was interrupted in the last step of `last`.
    """
    keras.utils.set_random_seed(3)
    inputs = keras.Input((3,))
    stack = read_stack(["dense 8", "norm", "dropout 0.5"], VECTOR_KINDS)
    noisy = keras.layers.GaussianNoise(0.1)(inputs)
    top = keras.layers.Dense(3, "softmax", name="top")
    model = keras.Model(inputs, top(apply_stack(stack, noisy)))
    own = {"optimizer": optimizer, "learning_rate": 0.01, "head_learning_rate": 0.1}
    own |= {"warmup": 1, "weight_decay": 1e-3, "monitor": "val_loss"}
    own |= {"stop_by": "monitor"}
    own |= {"epochs": epochs, "patience": patience}
    settings = {f"finetune.{name}": value for name, value in (own | changes).items()}
    batches = Interrupted(blobs(np.arange(60) % 3, 1), last)
    compile_model(model, two_rates(settings, top.trainable_variables, len(batches)), 0.1)
    valid = Batches(blobs(np.arange(30) % 3, 2), 16)
    try:
        history = fit("finetune", settings, model, batches, valid, folder, "one")
    except Interruption:
        return None
    return history, model.get_weights()


def same(one: Any, other: Any) -> bool:
    """Whether two trainings have given the same, to the last bit."""
    pairs = zip(one[1], other[1], strict=True)
    return one[0].equals(other[0]) and all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("optimizer", ["Adafactor", "Ftrl", "Lion", "Nadam", "SGD"])
def test_every_optimizer_goes_on_exactly(tmp_path: Path, optimizer: str, capsys: Capture) -> None:
    ways = {"warmup": 0}  # Ftrl divides by the rate, which is 0 in the first step of a warm-up
    expected = train(optimizer, 2, None, **ways)
    assert train(optimizer, 2, tmp_path, last=2, **ways) is None
    capsys.readouterr()
    assert same(train(optimizer, 2, tmp_path, **ways), expected)
    assert capsys.readouterr().out == "finetune: goes on after epoch 1, where it was interrupted\n"


@pytest.mark.parametrize(("patience", "head_learning_rate"), [(9, 0.1), (2, 3.0)])
def test_interrupted_in_each_epoch_it_ends_the_same(
    tmp_path: Path, patience: int, head_learning_rate: float, capsys: Capture
) -> None:
    """Also one that ends early, at a rate that is too high; and one that had ended is repeated."""
    ways = {"patience": patience, "head_learning_rate": head_learning_rate}
    expected = train("AdamW", 5, None, **ways)
    epochs = len(expected[0])
    assert (epochs < 5) == (patience == 2)
    for last in range(1, epochs + 1):
        assert train("AdamW", 5, tmp_path, last=last, **ways) is None
    capsys.readouterr()
    for line in (f"goes on after epoch {epochs - 1}, where", "the training of one had ended"):
        assert same(train("AdamW", 5, tmp_path, **ways), expected)
        printed = capsys.readouterr()
        assert printed.out.startswith(f"finetune: {line}")
        assert f"finetune: {epochs * 4}/" in printed.err


def test_a_damaged_state_is_no_state(tmp_path: Path, capsys: Capture) -> None:
    train("AdamW", 2, tmp_path, last=2)
    file = tmp_path / "one.state"
    whole = file.read_bytes()
    for byte in (0, 40, len(whole) // 2, len(whole) - 1):
        flipped = bytearray(whole)
        flipped[byte] ^= 4
        for damaged in (flipped, whole[:byte], whole + whole[: byte + 1]):
            file.write_bytes(damaged)
            assert read_state(file) is None
    file.write_bytes(whole[:-1])
    capsys.readouterr()
    assert same(train("AdamW", 2, tmp_path), train("AdamW", 2, None))
    assert not capsys.readouterr().out


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    """One that cannot be written leaves the one before, and nothing beside it."""
    file = tmp_path / "new/one.state"
    facts = {"loss": 0.1 + 0.2, "best": None, "rows": [{"a": 1e-300}]}
    arrays = [np.float32([[1, np.nan]]), np.array(7), np.zeros((0, 3), np.uint32)]
    write_state(file, facts, iter(arrays))
    found = read_state(file)
    assert found.facts == facts
    for one, other in zip(found.arrays, arrays, strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype == "f4")

    def broken() -> Iterator[np.ndarray]:
        yield np.zeros(3)
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_state(file, {}, broken())
    assert read_state(file).facts == facts and list(file.parent.iterdir()) == [file]
    assert read_state(tmp_path / "none.state") is None


def test_other_versions_start_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graft.training import states

    file = tmp_path / "one.state"
    write_state(file, {}, [])
    assert read_state(file) is not None
    monkeypatch.setattr(states, "_VERSIONS", states._VERSIONS | {"keras": "9"})
    assert read_state(file) is None


def test_where_nothing_can_be_kept_it_trains_all_the_same(tmp_path: Path, capsys: Capture) -> None:
    """One line says so, of all epochs."""
    (tmp_path / "file").touch()
    found = train("AdamW", 2, tmp_path / "file/folder")
    lines = capsys.readouterr().err.splitlines()
    assert sum("warning: if it is interrupted, it will start anew" in line for line in lines) == 1
    assert same(found, train("AdamW", 2, None))


def test_the_folder_is_named_by_all_that_the_result_depends_on(empty: Path) -> None:
    store({"top": digits(60)[0]}, digits(60)[1])

    def find(changed: str = "", code: str = "") -> Path:
        values = read_parameters()
        stages = declarations(values)
        (own,) = (one for one in stages if one.address == "head")
        if changed:
            with Path(changed).open("ab") as file:
                file.write(b" ")
        made_from = describe_stage(own, stages, flatten(values))
        own_code = made_from.dependencies | dict.fromkeys([code] if code else [], "another")
        return find_scratch("head", made_from._replace(dependencies=own_code))

    first = find()
    assert first == find() and first.parent == SCRATCH / "head"
    change(empty, {"finetune.learning_rate": 0.5, "report.smoothing": 0.5})
    assert find() == first
    found = {first, find(code="workflow/graft/head"), find(changed="data/split.csv")}
    change(empty, {"head.learning_rate": 0.5})
    assert len({*found, find()}) == 4
    for path in found:
        path.mkdir(parents=True)
    clear_scratch("head", first)
    assert list(first.parent.iterdir()) == [first]
    clear_scratch("head")
    assert not list(first.parent.iterdir())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the name of the server for the stages there."""
    folder = tmp_path_factory.mktemp("killed")
    with serve_forks(folder) as name:
        yield folder, name


@pytest.fixture
def served(server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where the test is: stages that start there are forks, as those of a run."""
    folder, name = server
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(VARIABLE, name)
    return folder


def begin(stage: str, log: Path) -> subprocess.Popen:
    """Starts a stage here, in a process of its own."""
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "graft", stage, "--force"], stdout=file, stderr=file
        )


def finish(stage: str, log: Path) -> tuple[dict[str, bytes], str]:
    """Runs a stage here: the six files that it writes, and what is said."""
    assert begin(stage, log).wait() == 0, log.read_text()
    assert not list((SCRATCH / stage).glob("*")) and not Path(".graft/cut").exists()
    (own,) = (one for one in declarations(read_parameters()) if one.address == stage)
    return {str(path): path.read_bytes() for path in own.outputs}, log.read_text()


def kill(stage: str, log: Path, seed: int, epochs: int) -> str:
    """Kills a stage once it keeps that many epochs with a seed, and returns what it had said."""

    def states() -> dict[Path, int]:
        found = (SCRATCH / stage).glob(f"*/seed-{seed}.state")
        return {path: path.stat().st_mtime_ns for path in found}

    before, process = states(), begin(stage, log)
    while True:
        with contextlib.suppress(FileNotFoundError):
            found = [read_state(path) for path, _ in states().items() - before.items()]
            if any(state and len(state.facts["rows"]) >= epochs for state in found):
                break
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    process.kill()
    process.wait()
    return log.read_text()


def test_a_head_that_is_killed_again_and_again(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two seeds, and first with another rate, whose state is not used.

    What was never killed is a process of its own.
    """
    features, labels = digits(600)
    own = {"stack": ["dense 32", "norm", "dropout 0.3"], "batch": 2, "repeats": 2}
    own |= {"epochs": 12, "patience": 12}
    changes = {f"head.{name}": value for name, value in own.items()}
    store({"top": features}, labels, changes)
    log = served / "log"
    with monkeypatch.context() as alone:
        alone.delenv(VARIABLE)
        expected, _ = finish("head", log)
    rate = read_parameters()["head"]["learning_rate"]
    change(served, {"head.learning_rate": 0.5})
    kill("head", log, seed=1, epochs=1)
    (other,) = (SCRATCH / "head").iterdir()
    change(served, {"head.learning_rate": rate})
    assert "goes on" not in kill("head", log, seed=1, epochs=1)
    assert not other.exists()
    assert "head: goes on after epoch " in kill("head", log, seed=2, epochs=2)
    written, said = finish("head", log)
    assert "head: the training of seed-1 had ended before the interruption\n" in said
    assert said.count("head: goes on after epoch ") == 1
    assert written == expected


@pytest.mark.parametrize("stored", [False, True])
def test_a_fine_tuning_that_is_killed_again_and_again(
    served: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """On stored outputs, which are made anew, or on those of images that change in every epoch.

    What was never killed is a process of its own, and ran on another number of cores.
    """
    stack = ["conv 8", "pool", "conv 8", "norm", "dropout 0.3", "conv 8"]
    own = {"backbone.name": "stack", "backbone.stack": stack, "backbone.weights": "none"}
    own |= {"finetune.epochs": 12, "finetune.patience": 12}
    own |= {"finetune.batch": 1, "finetune.warmup": 1}
    if not stored:
        own |= {"augment.rotation": 10, "augment.flip": "horizontal", "augment.contrast": 0.2}
    place(own)
    run("backbone")
    run("views")
    start(unfreeze=3)
    log = served / "log"
    with monkeypatch.context() as alone:
        alone.delenv(VARIABLE)
        alone.setenv("OMP_NUM_THREADS", "1")
        expected, said = finish("finetune", log)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    way = "60 stored outputs of conv_2" if stored else "outputs of conv_2, made in each epoch: "
    assert f"finetune: trains on {way}" in said
    kill("finetune", log, seed=1, epochs=1)
    if not stored:
        assert "finetune: goes on after epoch " in kill("finetune", log, seed=1, epochs=2)
    assert Path(".graft/cut").exists()
    written, said = finish("finetune", log)
    assert "finetune: goes on after epoch " in said or "had ended before" in said
    assert written == expected
