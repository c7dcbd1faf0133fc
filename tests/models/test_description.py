"""What a model file says of itself: written into it, read back, and refused where it is wrong."""

import json
import shutil
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import read_cases
from graft.common.errors import UserError
from graft.models.description import ModelDescription, read_description, write_description
from graft.models.framework import keras
from graft.models.inference import run_graph
from graft.models.saving import load_model, save_graph, save_model
from trainings import describe

ODD = (
    *("quotes \" and '", "two\nlines\r\n", "<b>&amp;</b>", "]]>", "\u202eright to left", "\0"),
    *("nan", " ", "猫", "{}", "\\n", "😀", "a" * 5000, "\x7f\x85\u2028"),
)
KINDS = ("keras", "xml")
ENDS = ("model.keras", "model.xml")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SHARES = st.floats(0, 1)
DESCRIPTIONS = st.builds(
    describe,
    st.lists(NAMES, min_size=2, max_size=5, unique=True),
    inputs=st.sampled_from(["pixels", "features"]),
    side=st.integers(8, 1024),
    fit=st.sampled_from(["stretch", "crop", "pad"]),
    network=NAMES,
    layer=NAMES,
    temperature=st.floats(0.01, 100),
    accuracy=SHARES,
    n=st.integers(1, 10**9),
    background=st.sampled_from(["white", "black", "#0080ff"]),
    white_level=st.sampled_from(["auto", 1, 4095]),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model that does not say what it is, as both kinds of file."""
    folder = tmp_path_factory.mktemp("plain")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs), name="head")
    save_model(model, folder / "model.keras")
    save_graph(model, folder / "model.xml")
    return folder


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(plain, tmp_path / "models")


@settings(max_examples=30)
@given(description=DESCRIPTIONS)
def test_what_is_written_is_read(
    plain: Path, tmp_path_factory: pytest.TempPathFactory, description: ModelDescription
) -> None:
    folder = tmp_path_factory.mktemp("copy") / "models"
    shutil.copytree(plain, folder)
    for kind in KINDS:
        write_description(folder / f"model.{kind}", description)
        assert read_description(folder / f"model.{kind}") == description
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", *ENDS]
    shutil.rmtree(folder.parent)


def test_the_model_stays_what_it_is(plain: Path, folder: Path) -> None:
    """Keras and OpenVINO load it with the same outputs, and the weights are the same bytes."""
    rows = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)

    def outputs(where: Path) -> list[np.ndarray]:
        graph = np.concatenate([*run_graph(where / "model.xml", rows)])
        return [load_model(where / "model.keras").predict(rows, verbose=0), graph]

    description = describe(ODD)
    before = outputs(plain)
    for name in ENDS:
        write_description(folder / name, description)
    assert all(map(np.array_equal, before, outputs(folder)))
    assert (folder / "model.bin").read_bytes() == (plain / "model.bin").read_bytes()
    # A user of OpenVINO finds it without graft.
    graph = ov.Core().read_model(folder / "model.xml")
    found = json.loads(graph.get_rt_info(["graft"]).astype(str))
    assert found["classes"] == [*ODD] and found["format"] == 2
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert json.loads(archive.read("graft.json")) == found


def test_what_could_not_be_chosen_before_is_not_said(folder: Path) -> None:
    """Files of the usual values are what they always were, and files from then are read."""
    for name in ENDS:
        write_description(folder / name, describe())
    with zipfile.ZipFile(folder / "model.keras") as archive:
        found = json.loads(archive.read("graft.json"))
    assert {*GOOD} - {*found} == {"background", "white_level"}
    about = read_description(folder / "model.keras")
    assert (about.background, about.white_level) == ("white", "auto")


def test_equal_descriptions_are_equal_bytes(plain: Path, folder: Path) -> None:
    """Also where the file said something else before."""
    first = describe(ODD)
    for name in ENDS:
        write_description(folder / name, replace(first, n=7))
        write_description(folder / name, first)
    other = shutil.copytree(plain, folder.parent / "other")
    for name in ENDS:
        write_description(other / name, first)
        assert (folder / name).read_bytes() == (other / name).read_bytes()
        with pytest.raises(UserError):
            read_description(plain / name)


def noted(folder: Path, kind: str, text: Any) -> Path:
    """A model file with this in the place of the description."""
    path = folder / f"model.{kind}"
    if kind == "keras":
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("graft.json", text)
        return path
    core = ov.Core()
    model = core.read_model(path)
    model.set_rt_info(text, ["graft"])
    ov.serialize(model, folder / "noted.xml")
    return folder / "noted.xml"


GOOD = json.loads(json.dumps({"format": 2, **asdict(describe())}))
# By name, what is changed in a good description or written in its place, and what is said.
HOSTILE = read_cases(__file__)["hostile"] | {
    "deep": ["[" * 100_000, "not JSON"],
    "a long number": ['{"n": ' + "9" * 5000 + "}", "not JSON"],
    "half a letter": [{"classes": ["a", "\ud800"]}, ""],
    "one thing less": [json.dumps({k: v for k, v in GOOD.items() if k != "fit"}), "fit: "],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", HOSTILE)
def test_a_wrong_description_is_refused(folder: Path, kind: str, case: str) -> None:
    what, message = HOSTILE[case]
    text = what if isinstance(what, str) else json.dumps(GOOD | what)
    refused(noted(folder, kind, text), message)


def refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=r"must be a model that graft made, such as") as error:
        read_description(path)
    said = str(error.value)
    assert message in said and "\n" not in said and len(said) < 700


def test_what_says_nothing_is_refused(folder: Path) -> None:
    refused(folder / "model.keras", "without graft.json")
    refused(folder / "model.xml", "without the note")
    refused(noted(folder, "xml", {"a": "b"}), "without the note")
    (folder / "model.bin").unlink()
    refused(folder / "model.xml", "")
    refused(folder / "none.keras", "no such file")
    refused(folder, "no such file")
    for name in ("text.keras", "text.xml", "text.onnx"):
        (folder / name).write_text("<net name='a'")
        refused(folder / name, "")
    (folder / "a\nb.keras").write_bytes((folder / "model.keras").read_bytes()[:-100])
    refused(folder / "a\nb.keras", "")


def test_a_description_that_unfolds_is_not_read(folder: Path) -> None:
    """A small file of zeros that would fill the memory."""
    path = noted(folder, "keras", b" " * (2**26 + 1))
    assert path.stat().st_size < 2**20
    refused(path, "more than 64 MiB")
