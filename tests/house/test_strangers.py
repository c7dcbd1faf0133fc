"""Files of strangers that would run code, lead elsewhere, or take all memory: SECURITY.md.

What the engines say of them is in `engines/test_engine_misuse.py`.
"""

import base64
import hashlib
import io
import json
import marshal
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import h5py
import numpy as np
import pytest

from cases import read_cases
from commands import Command
from graft.common.classes import normal
from graft.common.errors import UserError
from graft.common.tables import read_table
from graft.integrity.harmless import check_arrays
from graft.models.description import write_description
from graft.network.catalogue import NETWORKS
from graft.network.pretrained import check_weights_file
from graft.network.stored_model import check_kinds, read_config
from graft.network.stored_weights import NotPlain, count_numbers
from graft.prediction.answers import Answer
from graft.prediction.output import write_csv
from graft.project.parameters import read_parameters
from graft.project.recipes import compose_parameters, list_recipes
from graft.tools import classify
from images import ROOT, SHARDS, call, change, classes, content, listing, run, write
from trainings import CNN, describe

WEIGHTS = ROOT / CNN
# What opens it waits for ever.
TRAP = "trap"


def refused(screen: Command, *arguments: str) -> str:
    """What a command says that must end with one message and status 2, and change no file."""
    before = content()
    status, shown = screen(*arguments)
    assert status == 2, shown
    start = f"graft {arguments[0]}: error: "
    assert shown.startswith(start) and shown.count("\n") == 1, shown
    assert content() == before
    return shown.removeprefix(start).rstrip("\n")


# --- models ---------------------------------------------------------------------------------------

CODE = compile("open('ran', 'w').close()", "stranger", "exec")
LAMBDA = {"class_name": "__lambda__", "config": {"code": ""}}
LAMBDA["config"]["code"] = base64.b64encode(marshal.dumps(CODE)).decode()
# Parts of a model that run code, or read other files.
POISONS = {
    "Lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {"function": LAMBDA}},
    "__lambda__": {"module": "builtins"} | LAMBDA,
    "function": {"module": "os", "class_name": "function", "config": "system"},
    "TFSMLayer": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "x"}},
    "StringLookup": {"module": "keras.layers", "class_name": "StringLookup", "config": {}},
    "Popen": {"module": "subprocess", "class_name": "Popen", "config": {"args": ["touch", "ran"]}},
    "['Dense']": {"module": "keras.layers", "class_name": ["Dense"]},
    "Dense": {"module": ["keras.layers"], "class_name": "Dense"},
}


def pack_model(path: Path, *more: Any, packing: int = 0, **members: bytes) -> None:
    """Writes a `.keras` file with the layers of `cnn`, weights, and more parts."""
    layers: list[Any] = [{"name": name} for name in NETWORKS["cnn"].layers]
    for name in ("network", "backbone"):
        layers = [{"name": name, "config": {"layers": [*layers, *more]}}]
    config = json.dumps({"config": {"layers": layers}}).encode()
    files = {"config.json": config, "model.weights.h5": WEIGHTS.read_bytes()} | members
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("name", POISONS)
def test_a_model_has_no_part_that_could_run_code(tmp_path: Path, name: str) -> None:
    pack_model(tmp_path / "mine.keras")
    read_config(tmp_path / "mine.keras")
    for poison in (POISONS[name], {"name": "x", "config": {"activation": [POISONS[name]]}}):
        pack_model(tmp_path / "mine.keras", poison)
        with pytest.raises(NotPlain) as error:
            read_config(tmp_path / "mine.keras")
        assert str(error.value) == f"a part of the kind {name}, which no model of graft has"


QUICK = ("ConvNeXtTiny", "MobileNetV3Small")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NETWORKS]
)
def test_all_parts_of_the_networks_are_known(name: str) -> None:
    from graft.backbone.architectures import build_network

    network = build_network(name, NETWORKS[name].sides[0])
    check_kinds(json.loads(network.to_json()))


def test_its_code_is_not_run_by_any_command(here: Path, screen: Command) -> None:
    FunctionType(marshal.loads(base64.b64decode(LAMBDA["config"]["code"])), {})()
    Path("ran").unlink()  # so it works
    write(here, {"data/pretrained/.keep": b"", "photo.png": classes({"a": 1})["a/0.png"]})
    pack_model(Path("data/pretrained/mine.keras"), POISONS["Lambda"])
    about = describe(("a", "b"), inputs="pixels", side=32, fit="crop")
    write_description(Path("data/pretrained/mine.keras"), about)
    change(here, {"backbone.weights": "data/pretrained/mine.keras"})
    said = "mine.keras (a part of the kind Lambda, which no model of graft has)'"
    assert refused(screen, "backbone").endswith(said)
    message = refused(screen, "predict", "photo.png", "--model", "data/pretrained/mine.keras")
    assert message.startswith("--model must be a model that graft made. Received: ")
    assert message.endswith(said) and not Path("ran").exists()


def test_a_model_file_unfolds_to_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "mine.keras"
    for data, said in (
        (lambda: pack_model(path, packing=zipfile.ZIP_DEFLATED), "config.json is compressed"),
        (lambda: pack_model(path, **{"assets/x": b""}), "a file with assets/x in it"),
        (lambda: pack_model(path, **{"config.json": b"[]"}), "config.json holds no model"),
        (lambda: pack_model(path, **{"config.json": b"[" * 10**6}), "recursion"),
        (lambda: pack_model(path, **{"model.weights.h5": b"HDF"}), "signature"),
        (lambda: pack_model(path, **{"model.weights.h5": linked(tmp_path)}), "/out is a link"),
    ):
        data()
        with pytest.raises(NotPlain, match=said):
            read_config(path)


# --- weights --------------------------------------------------------------------------------------


def linked(folder: Path) -> bytes:
    """Weights with a link to another file."""
    shutil.copyfile(WEIGHTS, folder / "linked.h5")
    with h5py.File(folder / "linked.h5", "r+") as file:
        file["out"] = h5py.ExternalLink(TRAP, "/layers")
    return (folder / "linked.h5").read_bytes()


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((9,), "f4")
    layout[:] = h5py.VirtualSource(TRAP, "x", (9,))
    file.create_virtual_dataset("out", layout)


def put(name: str, value: Any) -> Callable[[Any], None]:
    return lambda file: file.__setitem__(name, value(file) if callable(value) else value)


def declare(*what: Any, **more: Any) -> Callable[[Any], None]:
    return lambda file: file.create_dataset("out", *what, **more)


ODD: dict[str, tuple[Callable[[Any], None], str]] = {
    "external link": (put("out", h5py.ExternalLink(TRAP, "/")), "a link"),
    "soft link": (put("out", h5py.SoftLink("/layers")), "a link"),
    "soft link to nothing": (put("out", h5py.SoftLink("/x")), "a link"),
    "external storage": (declare((9,), "f4", external=[(TRAP, 0, 36)]), "stored in another file"),
    "virtual": (virtual, "put together from other arrays"),
    "declared": (
        declare((10**12,), "f4", chunks=(1000,)),
        "says that it has 1,000,000,000,000 numbers, which are not there",
    ),
    "declared in one piece": (declare((10**6, 10**6), "f4"), "it has 1,000,000,000,000 numbers"),
    "compressed": (declare(data=np.zeros(10**6, "f4"), compression="gzip"), "compressed"),
    "cycle": (put("layers/out", lambda file: file["layers"]), "there under another name"),
    "texts": (put("out", ["a", "b"]), "no numbers"),
    "references": (put("out", lambda file: file["layers"].ref), "no numbers"),
    "type": (put("out", np.dtype("f4")), "no array"),
}


@pytest.mark.parametrize("kind", ODD)
def test_weights_are_plain_arrays(empty: Path, kind: str) -> None:
    """What else HDF5 can hold is refused before any array is read, where links lead to a trap."""
    os.mkfifo(TRAP)
    shutil.copyfile(WEIGHTS, "mine.h5")
    network = NETWORKS["cnn"]
    check_weights_file(Path("mine.h5"), "cnn", network, network.layers)
    make, said = ODD[kind]
    with h5py.File("mine.h5", "r+") as file:
        make(file)
    with pytest.raises(UserError, match=rf"plain arrays\. Received: 'mine\.h5 \(/\S*out .*{said}"):
        check_weights_file(Path("mine.h5"), "cnn", network, network.layers)
    allowed = r"^--weights must be imagenet, or a Keras weights file .*mine\.h5 \(/\S*out "
    with pytest.raises(UserError, match=allowed):
        classify.main(["photo.png", "--weights", "mine.h5", "--backbone", "MobileNet"])


def test_weights_with_what_keras_may_write_are_read(tmp_path: Path) -> None:
    """The optimizer's state does not count; bfloat16 does."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["optimizer/vars/0"] = np.zeros(7, np.float32)
        file["layers/a/vars/0"] = np.zeros((2, 3), "V2")
        file["layers/a/vars/1"] = np.float64(3)
        file.attrs["layer_names"] = ["a", "b"]
    assert count_numbers(tmp_path / "x.h5") == 7


def test_weights_are_refused_by_the_command(here: Path, screen: Command) -> None:
    write(here, {"data/pretrained/mine.h5": linked(here)})
    os.mkfifo(TRAP)
    change(here, {"backbone.weights": "data/pretrained/mine.h5"})
    assert refused(screen, "backbone").endswith("mine.h5 (/out is a link)'")


# --- weights of Keras -----------------------------------------------------------------------------


def get(published: str | None, url: str = "https://127.0.0.1:9/x.h5") -> str:
    """Gets the file `x.h5` as the weights of a network are got."""
    from graft.backbone.fetched import PublishedFile, fetching

    file = PublishedFile("x.h5", url, published)
    with fetching(file, "the ImageNet weights of X", "name a file") as place:
        return str(place)


@pytest.mark.parametrize(("kind", "name"), [("md5", "MD5"), ("sha256", "SHA-256")])
def test_a_file_of_keras_has_its_published_hash(home: Path, kind: str, name: str) -> None:
    """One that has not is named, and left as it is: Keras alone would delete it."""
    (home / "x.h5").write_bytes(b"weights")
    right, wrong = (hashlib.new(kind, data).hexdigest() for data in (b"weights", b"others"))
    assert get(right) == str(home / "x.h5")
    with pytest.raises(UserError) as error:
        get(wrong)
    assert str(error.value) == (
        f"the ImageNet weights of X must be the file that Keras publishes. Delete {home}/x.h5, so"
        " that it is fetched again, or name a file."
        f" Received: a file of {name} {right}, not {wrong}"
    )
    assert (home / "x.h5").read_bytes() == b"weights"


def test_the_names_of_the_classes_have_their_published_hash(home: Path) -> None:
    from graft.prediction.classifier import fetch_classes

    (home / "imagenet_class_index.json").write_text("{}")
    with pytest.raises(UserError, match=r"MD5 \w+, not c2c37ea517e94d9795004a39431a14cb$"):
        fetch_classes()


def test_without_a_published_hash_weights_are_plain_arrays(home: Path) -> None:
    shutil.copyfile(WEIGHTS, home / "x.h5")
    get(None)
    (home / "x.h5").write_bytes(linked(home))
    with pytest.raises(UserError, match=rf"Delete {home}/x\.h5, .* Received: /out is a link$"):
        get(None)


def test_nothing_is_left_of_what_cannot_be_fetched(home: Path) -> None:
    with pytest.raises(UserError, match=rf"cannot be fetched\. Download \S+ .* at {home}/x\.h5, "):
        get("0" * 32)
    assert not [*home.iterdir()]


def test_what_is_fetched_appears_whole_or_not_at_all(home: Path, tmp_path: Path) -> None:
    source = (tmp_path / "weights").absolute()
    source.write_bytes(b"weights")
    with pytest.raises(UserError, match=r"cannot be fetched\. .* Received: a file of MD5 "):
        get("0" * 32, source.as_uri())
    with pytest.raises(UserError, match=r"cannot be fetched\. .* signature not found"):
        get(None, source.as_uri())
    assert not [*home.iterdir()]
    get(hashlib.md5(b"weights").hexdigest(), source.as_uri())
    assert [path.name for path in home.iterdir()] == ["x.h5"]


# --- arrays ---------------------------------------------------------------------------------------


class Pickled:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> Any:
        return (open, ("ran", "w"))


OBJECTS = np.array([Pickled()], dtype=object)


def test_a_stage_loads_no_pickle(here: Path, screen: Command) -> None:
    write(here / "photos", classes({"a": 6, "b": 6}))
    run("manifest")
    for shard in map(str, range(SHARDS)):
        run("tensors", shard)
    np.save("data/tensors/1.npy", OBJECTS)
    np.load("data/tensors/1.npy", allow_pickle=True)
    Path("ran").unlink()  # so it works
    shutil.rmtree(".graft")  # a project of a stranger, without records
    assert refused(screen, "duplicates") == (
        "data/tensors/1.npy must be an array of numbers, as its stage writes it: delete it and run"
        " that anew. Received: 'Python objects, which only a pickle can hold'"
    )
    assert not Path("ran").exists()


def test_arrays_are_what_they_say(empty: Path) -> None:
    np.savez("x.npz", a=np.zeros((2, 3)), b=np.array(["text"]))
    np.save("x.npy", np.zeros((0, 3)))
    check_arrays([Path("x.npz"), Path("x.npy"), Path("none.npy"), Path("x.csv")])
    np.savez("y.npz", good=np.zeros(3), bad=OBJECTS)
    np.save("y.npy", np.zeros(10))
    data = Path("y.npy").read_bytes()
    Path("y.npy").write_bytes(data.replace(b"(10,), ", b"(10**9,)".replace(b"**", b"00")[:7]))
    write(empty, {"z.npy": data[:-1], "z.npz": data, "w.npy": b"\x93NUMPY\x09\0"})
    said_of = {"y.npz": r"bad\.npy: Python objects", "z.npy": "79 bytes of the 80"}
    for name, said in (said_of | {"z.npz": "not a zip", "y.npy": "", "w.npy": ""}).items():
        with pytest.raises(UserError, match=rf"^{name} must be an array of numbers.*{said}"):
            check_arrays([Path(name)])


# --- texts ----------------------------------------------------------------------------------------

FORMULAS = ("=cmd|' /C calc'!A0", "@SUM(1+1)", "+1", "-1", "\t=1")


def test_names_are_data_even_if_a_spreadsheet_would_calculate(here: Path) -> None:
    """Others rely on finding a class by its name; docs/predict.md says how to open the table."""
    write(here / "photos", {f"{i}.png": d for i, d in enumerate(classes({"a": 5}).values())})
    lines = "".join(f'{i}.png,"{name}"\n' for i, name in enumerate(FORMULAS))
    write(here / "photos", {"labels.csv": f"path,label\n{lines}".encode()})
    assert {row["label"] for row in listing()} == set(map(normal, FORMULAS))
    out = io.StringIO()
    row = write_csv(out, 1, None)
    for name in FORMULAS:
        row(Answer(name, [(name, 0.5)], ""))
    table = read_table(io.BytesIO(out.getvalue().encode()))
    assert list(table["label"]) == list(table["path"]) == list(FORMULAS)


# Each line repeats the one before ten times.
ALIASES = [(i, f"[{', '.join([f'*a{i - 1}'] * 10)}]") for i in range(1, 20)]
BOMB = "".join(["a0: &a0 x\n", *(f"a{i}: &a{i} {ten}\n" for i, ten in ALIASES)])
MERGED = "".join(["a0: &a0 {x: 1}\n", *(f"a{i}: &a{i} {{<<: {ten}}}\n" for i, ten in ALIASES)])
TEXTS = {
    "aliases": (BOMB, "aliases that repeat more than 10,000 values"),
    "merged aliases": (MERGED, "aliases that repeat more than 10,000 values"),
    "large": ("#" * (4 * 2**20 + 1), "a file of more than 4 MiB"),
    "code": ("a: !!python/object/apply:os.system [touch ran]\n", "could not determine a constr"),
    "twice": ("a: 1\na: 2\n", "found duplicate key 'a'"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_means_no_more_than_it_says(here: Path, screen: Command, name: str) -> None:
    """As params.yaml, dvc.yaml and a recipe."""
    text, said = TEXTS[name]
    good = {path: Path(path).read_text() for path in ("params.yaml", "dvc.yaml")}
    for path in good:
        Path(path).write_text(good[path] + text)
        message = refused(screen, "manifest", "--shards", "4")
        assert message.startswith(f"{path} must be YAML") and f"Received: {said}" in message
        Path(path).write_text(good[path])
    Path("workflow/recipes").unlink()
    write(here, {"workflow/recipes/mine.yaml": b"# mine\n" + text.encode()})
    message = refused(screen, "use", "mine", "--force")
    assert message.startswith("workflow/recipes/mine.yaml must be YAML") and said in message
    assert not Path("ran").exists()


def test_a_recipe_may_have_aliases(here: Path) -> None:
    """And its title is no longer than a line."""
    Path("workflow/recipes").unlink()
    text = f"# {'mine' * 100}\nhead: {{seed: &seed 7}}\nsplit: {{seed: *seed}}\n"
    write(here, {"workflow/recipes/mine.yaml": text.encode()})
    Path("params.yaml").write_text(compose_parameters("mine", {}))
    values = read_parameters()
    assert values["head"]["seed"] == values["split"]["seed"] == 7
    assert len(list_recipes()["mine"]) <= 200
    write(here, {"workflow/recipes/mine.yaml": b"- 1\n"})
    with pytest.raises(UserError, match=r"mine\.yaml must be YAML .*sections.* Received: 'list'"):
        compose_parameters("mine", {})


# --- dvc.yaml -------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["../x", "/other/x", "data/../../x", ".", "data/${dataset.path}"])
def test_outputs_lead_nowhere_else(here: Path, screen: Command, out: str) -> None:
    change(here, {"dataset.path": "../../x"})
    text = Path("dvc.yaml").read_text()
    Path("dvc.yaml").write_text(text.replace("- data/warnings/manifest.json", f"- {out}"))
    received = repr(out.replace("${dataset.path}", "../../x"))
    assert refused(screen, "manifest", "--shards", "4") == (
        f"dvc.yaml: an output must be a file inside of the project. Received: {received}"
    )


@pytest.mark.parametrize(
    "text", ["", "- 1", "stages: 3", "stages: {a: 1}", "stages: {a: {outs: [[]]}}"]
)
def test_a_dvc_yaml_has_stages(here: Path, screen: Command, text: str) -> None:
    Path("dvc.yaml").write_text(text)
    message = refused(screen, "manifest", "--shards", "4")
    assert message.startswith("dvc.yaml must be stages with their outputs, as DVC has them. ")


# --- packages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("packages, status, said", read_cases(__file__)["audits"])
def test_mended_vulnerabilities_fail(packages: list[Any] | None, status: int, said: str) -> None:
    report = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    ended = call(sys.executable, ROOT / ".ci/audit.py", input=report)
    assert ended.returncode == status and said in ended.stdout and not ended.stderr
