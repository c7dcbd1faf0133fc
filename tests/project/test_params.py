"""What params.yaml may hold, and the error where it holds something else."""

import json
import math
import os
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from cases import read_cases
from graft.audit.unfreezing import first_of_block
from graft.common.errors import UserError
from graft.common.stage import Stage, Undeclared
from graft.integrity.ground import flatten
from graft.models.stacks import IMAGE_KINDS, count_parameters, read_stack
from graft.network.catalogue import NETWORKS, NETWORKS_FILE, OWN
from graft.project.choices import CORRECTIONS, divide
from graft.project.launcher import make_stage
from graft.project.parameters import check_files, read_parameters
from graft.project.pipeline import declarations
from graft.project.recipes import DEFAULTS
from graft.project.schema import Parameters
from images import ROOT, complaint, python

CASES = read_cases(__file__)

GOOD = YAML(typ="safe").load(DEFAULTS.read_text(encoding="utf-8"))
# As the schema has them, so that a number has the type of its key however it is written.
LEAVES = flatten(Parameters.model_validate(GOOD).model_dump())
TEXT_LEAVES = [key for key, value in LEAVES.items() if isinstance(value, str)]
# These may be a word or a number, or a list.
MIXED = ("finetune.unfreeze", "image.white_level")
MIXED += ("dataset.classes", "dataset.label", "dataset.per_class")
NUMBER_LEAVES = [key for key, value in LEAVES.items() if isinstance(value, int | float)]
NUMBER_LEAVES = [key for key in NUMBER_LEAVES if key not in MIXED]
WHOLE_LEAVES = [key for key in NUMBER_LEAVES if isinstance(LEAVES[key], int)]
ABSENT = object()


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The repository's parameters with other values, or without some, by dotted key."""
    values = json.loads(json.dumps(GOOD))
    for key, value in changes.items():
        *sections, name = key.split(".")
        place = values[sections[0]] if sections else values
        place[name] = value
        if value is ABSENT:
            del place[name]
    return values


def read(folder: Path, content: dict[str, Any] | str | bytes) -> dict[str, Any]:
    """Reads parameters that are written to a file first."""
    path = folder / "params.yaml"
    if isinstance(content, dict):
        YAML(typ="safe").dump(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_parameters(path)


def refusal(folder: Path, content: dict[str, Any] | str | bytes) -> str:
    """The message that a params.yaml is refused with, in the form that every message has."""
    with pytest.raises(UserError) as caught:
        read(folder, content)
    message = str(caught.value).removeprefix(f"{folder}/")
    assert "\n" not in message
    assert re.fullmatch(r"params\.yaml.* (must be|allowed|must be given).*\. Received: .+", message)
    return message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("params")


def test_the_values_of_the_file_are_read(folder: Path) -> None:
    assert read(folder, GOOD) == GOOD


@pytest.mark.parametrize("key", LEAVES)
@pytest.mark.parametrize("value", [None, True, {"a": 1}, math.nan, math.inf, [[]]], ids=repr)
def test_no_leaf_takes_a_value_of_another_kind(folder: Path, key: str, value: Any) -> None:
    message = refusal(folder, changed({key: value}))
    assert message.startswith(f"params.yaml: {key} must be ")
    assert message.endswith(f". Received: {value!r}")


@pytest.mark.parametrize("key", TEXT_LEAVES)
def test_a_number_is_no_text(folder: Path, key: str) -> None:
    if key not in MIXED:
        assert f"{key} must be" in refusal(folder, changed({key: 5}))
    if key != "finetune.unfreeze":
        assert f"{key} must be" in refusal(folder, changed({key: 0.5}))


@pytest.mark.parametrize("key", NUMBER_LEAVES)
def test_no_text_is_a_number_and_numbers_have_limits(folder: Path, key: str) -> None:
    whole = key in WHOLE_LEAVES
    assert f"{key} must be" in refusal(folder, changed({key: str(LEAVES[key])}))
    for value in (1.5, 2.0, -1, 2**31) if whole else (-0.1, 180.5, 10**400):
        allowed = f"{key} must be {'a whole number' if whole else ''}"
        assert allowed in refusal(folder, changed({key: value})), value


# Values that are outside of the limits of their keys.
@pytest.mark.parametrize(
    "key, value",
    [
        *((key, value) for key, values in CASES["outside"].items() for value in values),
        ("backbone.stack", ["conv 8"] * 101),
    ],
)
def test_a_value_outside_its_limits_is_shown_with_them(folder: Path, key: str, value: Any) -> None:
    message = refusal(folder, changed({key: value}))
    assert message.startswith(f"params.yaml: {key} must be ")
    assert message.endswith(f". Received: {value!r}")


@pytest.mark.parametrize(
    "written, value", [("1e-3", 0.001), ("1E-3", 0.001), ("0.001", 0.001), ("1", 1.0), ("+.5", 0.5)]
)
def test_a_rate_may_be_written_as_numbers_are(folder: Path, written: str, value: float) -> None:
    text = DEFAULTS.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(  learning_rate: )[0-9.]+", rf"\g<1>{written}", text, count=1)
    rate = read(folder, text)["head"]["learning_rate"]
    assert rate == value and not isinstance(rate, str)


def test_a_byte_order_mark_is_no_content(folder: Path) -> None:
    assert read(folder, b"\xef\xbb\xbf" + DEFAULTS.read_bytes()) == GOOD


@pytest.mark.parametrize(
    "key, near",
    [("head.learning_rat", "learning_rate"), ("splitt", "split"), ("image.sides", "side")],
)
def test_an_unknown_key_is_answered_with_the_nearest(folder: Path, key: str, near: str) -> None:
    """Before the one that it was meant for is missed."""
    meant = ".".join([*key.split(".")[:-1], near])
    for changes in ({key: 1}, {key: 1, meant: ABSENT}):
        message = refusal(folder, changed(changes))
        assert message.startswith(f"params.yaml: {key} is unknown; it must be one of ")
        assert f"(did you mean {near}?). Received: '{key.split('.')[-1]}'" in message


@pytest.mark.parametrize("key", ["head.zzz", "zzz", "1"])
def test_an_unknown_key_like_no_other_is_answered_with_all(folder: Path, key: str) -> None:
    message = refusal(folder, changed({key: 1}))
    known = sorted(GOOD["head"]) if "." in key else GOOD
    assert f"must be one of {', '.join(known)}. Received: " in message


@pytest.mark.parametrize("text", ["1: 2", "1.5: 2", "null: 2", "true: 2"])
def test_a_key_may_be_anything_but_is_unknown_then(folder: Path, text: str) -> None:
    source = DEFAULTS.read_text(encoding="utf-8")
    assert " is unknown; it must be one of dataset, " in refusal(folder, f"{source}\n{text}\n")


@pytest.mark.parametrize("key", LEAVES)
def test_a_missing_key_is_named(folder: Path, key: str) -> None:
    message = refusal(folder, changed({key: ABSENT}))
    assert message.startswith(f"params.yaml: {key} must be given: ")
    assert message.endswith(". Received: nothing")


@pytest.mark.parametrize("section", GOOD)
def test_a_missing_section_is_named_with_its_keys(folder: Path, section: str) -> None:
    message = refusal(folder, changed({section: ABSENT}))
    keys = f"a section with the keys {', '.join(sorted(GOOD[section]))}"
    assert message == f"params.yaml: {section} must be given: {keys}. Received: nothing"


@pytest.mark.parametrize("value", [None, 3, "text", [1], []], ids=repr)
def test_a_section_is_a_mapping(folder: Path, value: Any) -> None:
    message = refusal(folder, changed({"head": value}))
    assert message.startswith("params.yaml: head must be a section with the keys batch, ")
    assert message.endswith(f". Received: {value!r}")


@given(st.lists(st.floats(0.01, 0.98), min_size=3, max_size=3))
@example([0.7, 0.2, 0.1])  # as people write them
@example([0.6, 0.3, 0.1])
@example([0.98, 0.01, 0.01])
def test_shares_sum_to_one(folder: Path, shares: list[float]) -> None:
    train, valid, test = shares
    values = changed({"split.train": train, "split.valid": valid, "split.test": test})
    if math.isclose(sum(shares), 1, abs_tol=1e-9):
        read(folder, values)
    else:
        message = refusal(folder, values)
        assert "split.train, split.valid and split.test must be shares that sum to 1" in message
        assert f"{train} + {valid} + {test}" in message


@pytest.mark.parametrize("name", NETWORKS)
def test_a_side_that_the_network_cannot_take_is_refused(folder: Path, name: str) -> None:
    low, high = NETWORKS[name].sides
    network = {"backbone.name": name, "backbone.weights": "none"}
    for side in (low, high):
        read(folder, changed({**network, "image.side": side}))
    for side in {max(8, low - 1), min(high + 1, 1024)} - {low, high}:
        message = refusal(folder, changed({**network, "image.side": side}))
        allowed = f"from {low} to {high} pixels for {name}"
        assert message == f"params.yaml: image.side must be {allowed}. Received: {side}"


@pytest.mark.parametrize("name", NETWORKS)
def test_no_more_layers_can_be_unfrozen_than_there_are(folder: Path, name: str) -> None:
    count, low = len(NETWORKS[name].layers), NETWORKS[name].sides[0]
    network = {"backbone.name": name, "backbone.weights": "none", "image.side": low}
    for unfreeze in (count, NETWORKS[name].layers[-1]):
        read(folder, changed({**network, "finetune.unfreeze": unfreeze}))
    message = refusal(folder, changed({**network, "finetune.unfreeze": count + 1}))
    allowed = f"none, all, auto, or at most {count} for {name}"
    assert message == f"params.yaml: finetune.unfreeze must be {allowed}. Received: {count + 1}"


@pytest.mark.parametrize("unfreeze", [0, 1, 0.25, "none", "all", "auto", "residual_64"])
def test_what_is_unfrozen_is_kept_as_it_is_written(folder: Path, unfreeze: Any) -> None:
    """A number stays whole or a fraction."""
    kept = read(folder, changed({"finetune.unfreeze": unfreeze}))["finetune"]["unfreeze"]
    assert (kept, type(kept)) == (unfreeze, type(unfreeze))


def test_the_layers_above_the_feature_are_not_there(folder: Path) -> None:
    """Neither their number nor their names; up to the feature everything is."""
    vgg = {"backbone.name": "VGG16", "backbone.weights": "none", "image.side": 64}
    vgg |= {"backbone.layer": "block3_conv2"}
    for unfreeze in (9, "block3_conv2", "block3", "block1"):
        read(folder, changed({**vgg, "finetune.unfreeze": unfreeze}))
    assert refusal(folder, changed({**vgg, "finetune.unfreeze": 10})).endswith(
        "must be none, all, auto, or at most 9 for VGG16 up to block3_conv2. Received: 10"
    )
    message = refusal(folder, changed({**vgg, "finetune.unfreeze": "block4"}))
    assert message.startswith(
        "params.yaml: finetune.unfreeze must be none, all, auto, a number or fraction of layers, or"
        " a layer or block of VGG16 (block1_conv1, block1_conv2, block1_pool, "
    )
    assert message.endswith(", block3_conv1, block3_conv2). Received: 'block4'")


@pytest.mark.parametrize("network, key, value, named", CASES["layers"])
def test_a_layer_that_is_not_there_is_answered_with_those_that_are(
    folder: Path, network: dict[str, Any], key: str, value: str, named: str
) -> None:
    message = refusal(folder, changed({"backbone.weights": "none", **network, key: value}))
    assert message.startswith(f"params.yaml: {key} must be ")
    assert named in message and message.endswith(f". Received: {value!r}")


def test_a_block_is_a_layer_of_that_name_or_of_one_that_goes_on_with_it() -> None:
    vgg, mobile = NETWORKS["VGG16"].layers, NETWORKS["MobileNetV2"].layers
    assert first_of_block(vgg, "block5") == vgg.index("block5_conv1")
    assert first_of_block(vgg, "block5_conv3") == len(vgg) - 2
    assert first_of_block(mobile, "block_1") == mobile.index("block_1_expand")
    assert first_of_block(mobile, "block_13") == mobile.index("block_13_expand")
    for unknown in ("block", "block_1", "block5_", "block5_conv", "", "5"):
        assert first_of_block(vgg, unknown) is None


@pytest.mark.parametrize("changes, key, allowed", CASES["apart"])
def test_what_cannot_be_together_is_refused_with_what_can(
    folder: Path, changes: dict[str, Any], key: str, allowed: str
) -> None:
    """Only the combination is wrong: each value alone is read elsewhere in this file."""
    still = {f"augment.{name}": 0.0 for name in ("shift", "zoom", "brightness", "contrast")}
    still |= {"augment.flip": "none", "augment.rotation": 0}
    values = changed({"backbone.weights": "none", "image.side": 16, **still, **changes})
    if key != "image.side":
        values["image"]["side"] = 32
    assert refusal(folder, values).startswith(f"params.yaml: {key} must be {allowed}")


def test_what_can_be_together_is_read(folder: Path) -> None:
    for changes in CASES["together"]:
        values = changed({"backbone.weights": "none", **changes})
        assert read(folder, values) == values


@pytest.mark.parametrize(
    "content, received",
    [
        *CASES["texts"],
        ("a: " + "9" * 5000, "digits"),
        *(("[" * 5000 + "]" * 5000, "levels"), ("- " * 10**6, "levels")),
        *((b"a: \xff\xfe\n", "can't decode"), ("größe: 1".encode("latin-1"), "can't decode")),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(
    folder: Path, content: str | bytes, received: str
) -> None:
    message = refusal(folder, content)
    start = re.escape("params.yaml must be YAML in UTF-8 with each key once. Received: ")
    assert re.match(rf"{start}.*{received}", message)


@pytest.mark.parametrize("content", ["", "# nothing\n", "- 1\n", "text\n", "3\n", "!!set {a}\n"])
def test_what_has_no_sections_is_refused_which_there_are(folder: Path, content: str) -> None:
    allowed = f"params.yaml must be sections {', '.join(GOOD)}. Received: "
    assert refusal(folder, content).startswith(allowed)


def test_a_mapping_may_hold_itself(folder: Path) -> None:
    assert "head.a is unknown" in refusal(folder, "head: &x\n  a: *x\n")


def test_what_was_found_valid_is_not_checked_again_until_it_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stage reads the parameters, and pydantic takes longer than all else of its start."""
    monkeypatch.chdir(folder)
    YAML(typ="safe").dump(GOOD, Path("params.yaml"))
    code = "import sys; from graft.project.parameters import read_parameters as read; read()"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}

    def checks() -> bool:
        printed = python(f"{code}; print('pydantic' in sys.modules)", env=environment)
        return printed == "True\n"

    assert checks() and not checks()
    YAML(typ="safe").dump(changed({"head.epochs": 77}), Path("params.yaml"))
    assert checks() and not checks()
    YAML(typ="safe").dump(changed({"head.epochs": -1}), Path("params.yaml"))
    for _ in range(2):
        with pytest.raises(UserError, match=r"head\.epochs"):
            read_parameters()
    Path(".graft/valid").write_bytes(b"\xff")
    YAML(typ="safe").dump(GOOD, Path("params.yaml"))
    assert checks() and not checks()


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run graft in the project's folder"):
        read_parameters(tmp_path / "params.yaml")
    with pytest.raises(UserError, match=r"Received: .*directory"):
        read_parameters(tmp_path)


def test_files_that_are_not_there_are_found_before_anything_runs(empty: Path) -> None:
    values = read(empty, changed({"backbone.weights": "none"}))
    with pytest.raises(UserError, match=r"dataset\.path must be .* that exists\. Received: 'data"):
        check_files(values)
    Path("data/raw").mkdir(parents=True)
    Path(values["dataset"]["path"]).touch()
    with pytest.raises(UserError, match=r"dataset\.corrections must be .* that exists\. Received"):
        check_files(values)
    CORRECTIONS.touch()
    check_files(values)
    values["backbone"]["weights"] = "data/pretrained/mine.weights.h5"
    with pytest.raises(UserError, match=r"backbone\.weights must be .* that exists\. Received: "):
        check_files(values)


class TestWeights:
    """The file of `backbone.weights` is looked into before any stage runs, without TensorFlow."""

    FILE = "data/pretrained/mine.h5"

    @pytest.fixture(autouse=True)
    def here(self, empty: Path) -> None:
        for name in ("data/pretrained", "photos"):
            Path(name).mkdir(parents=True)
        CORRECTIONS.touch()

    def error(self, **backbone: Any) -> str:
        """What is said of the weights, or nothing if they will do."""
        values = changed({"dataset.path": "photos", "image.side": 64})
        values["backbone"] |= {"weights": self.FILE, **backbone}
        try:
            check_files(read(Path(), values))
        except UserError as error:
            assert str(error).startswith("params.yaml: backbone.weights must be ")
            return str(error)
        return ""

    def hold(self, count: int, optimizer: int = 0) -> None:
        with h5py.File(self.FILE, "w") as file:
            file["layers/a/vars/0"] = np.zeros(count - 10, np.float32)
            file["layers/b/vars/0"] = np.zeros((2, 5), np.float32)
            if optimizer:
                file["optimizer/vars/0"] = np.zeros(optimizer, np.float32)

    def model(self, layers: list[str], around: tuple[str, ...] = ("backbone", "network")) -> str:
        """A `.keras` file that says of its network that it has these layers."""
        config: Any = [{"name": name} for name in layers]
        for name in reversed(around):
            config = [{"name": "pixels"}, {"name": name, "config": {"layers": config}}]
        with zipfile.ZipFile("data/pretrained/mine.keras", "w") as file:
            file.writestr("config.json", json.dumps({"config": {"layers": config}}))
            file.writestr("model.weights.h5", (ROOT / LEAVES["backbone.weights"]).read_bytes())
        return "data/pretrained/mine.keras"

    def test_as_many_numbers_as_the_network_has(self) -> None:
        count = NETWORKS["MobileNetV2"].parameters
        self.hold(count, optimizer=77)
        assert self.error(name="MobileNetV2") == ""
        assert self.error(name="MobileNetV2", layer="block_13_expand") == ""
        for name in ("VGG16", "cnn"):
            assert self.error(name=name) == (
                f"params.yaml: backbone.weights must be weights of {name} without its classifier,"
                f" {NETWORKS[name].parameters:,} numbers."
                f" Received: '{self.FILE} with {count:,} numbers'"
            )

    def test_as_many_numbers_as_a_stack_has(self) -> None:
        stack = ["conv 4", "norm", "pool", "conv 8 5"]
        self.hold(count_parameters(read_stack(stack, IMAGE_KINDS)))
        assert self.error(name="stack", stack=stack) == ""
        assert "weights of stack without" in self.error(name="stack", stack=stack[:-1])

    def test_the_weights_of_the_repository_are_those_of_its_network(self) -> None:
        shutil.copyfile(ROOT / LEAVES["backbone.weights"], self.FILE)
        assert self.error() == ""

    @pytest.mark.parametrize("content", [b"", b"no HDF5", bytes(5000)])
    def test_what_is_no_hdf5_is_refused(self, content: bytes) -> None:
        Path(self.FILE).write_bytes(content)
        assert f"a file of weights in HDF5, plain arrays. Received: '{self.FILE} (" in self.error()

    def test_a_model_has_the_layers_of_the_network(self) -> None:
        layers = list(NETWORKS["cnn"].layers)
        weights = self.model(layers)
        assert self.error(weights=weights) == ""
        assert self.error(name="VGG16", weights=weights) == (
            "params.yaml: backbone.weights must be a model whose network is VGG16."
            f" Received: '{weights}, which has no layer block1_conv1'"
        )

    def test_a_model_may_lack_the_layers_that_are_not_used(self) -> None:
        layers = list(NETWORKS["cnn"].layers)
        weights = self.model(layers[: layers.index("residual_64_out") + 1])
        assert self.error(weights=weights, layer="residual_64_out") == ""
        assert "has no layer widen_120" in self.error(weights=weights)

    @pytest.mark.parametrize("around, lacks", [((), "backbone"), (("backbone",), "network")])
    def test_a_model_of_strangers_is_refused(self, around: tuple[str, ...], lacks: str) -> None:
        message = self.error(weights=self.model(["a", "b"], around))
        assert "a model that graft made, such as data/models/finetuned.keras" in message
        assert message.endswith(f"which has no layer {lacks}'")

    @pytest.mark.parametrize("content", [b"", b"no zip", None])
    def test_what_is_no_model_is_refused(self, content: bytes | None) -> None:
        weights = Path("data/pretrained/mine.keras")
        if content is None:
            with zipfile.ZipFile(weights, "w") as file:
                file.writestr("model.json", "{}")
        else:
            weights.write_bytes(content)
        said = f"a model that graft made (.keras). Received: '{weights} ("
        assert said in self.error(weights=str(weights))


class TestCommand:
    """Every stage checks the whole of params.yaml before anything happens."""

    @pytest.mark.parametrize(
        "content", [*map(changed, CASES["wrong"]), {"head": 1}, "a: [\n", b"\xff"]
    )
    def test_an_error_is_one_line_and_leaves_nothing(
        self, tmp_path: Path, content: dict[str, Any] | str | bytes
    ) -> None:
        shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
        divide(4, tmp_path)
        message = refusal(tmp_path, content)
        before = sorted(tmp_path.rglob("*"))
        assert complaint(tmp_path, "manifest", "--shards", "4") == message
        assert sorted(tmp_path.rglob("*")) == before


def test_validation_converts_nothing(folder: Path) -> None:
    """A stage is given plain values as they are written; what the schema makes of them is equal."""
    for number in (1, 1.0):
        values = changed({"augment.rotation": number, "dataset.max_bad": number})
        values["dataset"]["classes"] = ["1", "two"]
        read_ = read(folder, values)
        assert read_ == values == Parameters.model_validate(values).model_dump()
        assert type(read_["augment"]["rotation"]) is type(number)


@pytest.mark.usefixtures("here")
class TestStage:
    """A stage is given what dvc.yaml declares for it and nothing else."""

    def stage(self, address: str) -> Stage:
        (declaration,) = (d for d in declarations(GOOD) if d.address == address)
        return make_stage(declaration, GOOD, {path: path for path in declaration.outputs})

    def test_it_reads_what_is_declared(self) -> None:
        stage = self.stage("tensors@3")
        keys = ("dataset.path", "image.side", "image.fit", "image.background")
        keys += ("image.white_level",)
        assert dict(stage) == {key: LEAVES[key] for key in keys}
        assert (stage.key, len(stage)) == ("3", 5)
        assert stage.input("data/manifest.csv") == Path("data/manifest.csv")
        assert stage.output("data/checked/3.csv") == Path("data/checked/3.csv")
        names = [path.name for path in self.stage("split").inputs("data/checked")]
        assert names == [f"{shard}.csv" for shard in range(4)]
        assert self.stage("manifest").options == {"shards": "4"}
        assert dict(self.stage("report")) == LEAVES

    def test_reading_anything_else_raises(self) -> None:
        stage = self.stage("split")
        for key in ("head.batch", "image.side", "nothing"):
            with pytest.raises(Undeclared, match=re.escape(key)):
                stage[key]
            with pytest.raises(Undeclared):
                stage.get(key)
        for files in (stage.input, stage.inputs, stage.output):
            with pytest.raises(Undeclared, match="data/features"):
                files("data/features")


# Importing Keras costs seconds and memory, so it is left to a process that asks all at once.
ASK_KERAS = """
import json, runpy
from graft.models.framework import keras
from graft.network.catalogue import NETWORKS

own = vars(keras.applications).items()
names = sorted(name for name, value in own if callable(value) and not name.startswith("_"))
describe = runpy.run_path("workflow/scripts/networks.py")["describe"]
asked = ("cnn", "MobileNetV2", "VGG16", "InceptionV3")
described, refused = {name: describe(name) for name in asked}, {}
for name in ("MobileNetV2", "VGG16", "InceptionV3", "Xception"):
    below = NETWORKS[name].sides[0] - 1
    build = getattr(keras.applications, name)
    try:
        build(include_top=False, weights=None, input_shape=(below, below, 3))
    except ValueError as error:
        refused[name] = str(error)
find_files = runpy.run_path("workflow/scripts/published.py")["find_files"]
files = {name: find_files(name) for name in ("MobileNetV2", "NASNetMobile", "class index")}
print(json.dumps([names, described, refused, files]))
"""


def test_the_networks_are_those_of_keras() -> None:
    """Their names, and of some of them what the file says: the script that writes it agrees."""
    names, described, refused, files = json.loads(python(ASK_KERAS, cwd=ROOT).splitlines()[-1])
    assert sorted(set(NETWORKS) - set(OWN)) == names
    written = json.loads(NETWORKS_FILE.read_text(encoding="utf-8"))
    assert described == {name: written[name] for name in described}
    published = json.loads((NETWORKS_FILE.parents[1] / "backbone/published.json").read_text())
    assert files == {name: published[name] for name in files}
    assert len(published) == len(names) + 1
    assert len(refused) == 4
    for name, message in refused.items():
        low = NETWORKS[name].sides[0]
        assert f"at least {low}x{low}" in message
