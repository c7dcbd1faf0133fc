"""A project whose data set `graft open` shows, and a client of its server that may misbehave."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from background import Run
from graft.common.tables import read_table
from graft.images.files import identity
from images import SHARDS, encoded, run, workspace
from packing import pack
from trainings import describe

SIDE = 32
# What may be called anything, and what has a number.
CLASSES = ("<img src=x onerror=document.title='run'>", "blue", "green")
FIRST, BLUE, GREEN = CLASSES
_COUNT = 14  # pictures of a class
# Pictures of a class in the folder of another one.
ASTRAY = {f"{BLUE}/astray.png": 2, f"{GREEN}/astray.png": 1, f"{GREEN}/lost.png": 0}


def paint(class_: int, seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Noise in the colour of a class: uint8 (height, width, 3)."""
    noise = np.random.default_rng([class_, seed]).integers(0, 90, (height, width, 3))
    noise[..., class_] += 150
    return noise.astype(np.uint8)


def photos() -> dict[str, bytes]:
    """A data set by path: pictures of the classes, some astray, and one that cannot be read."""
    found = {
        f"{name}/{number:02}.png": encoded(paint(class_, number))
        for class_, name in enumerate(CLASSES)
        for number in range(_COUNT)
    }
    found |= {path: encoded(paint(class_, 99)) for path, class_ in ASTRAY.items()}
    # Wider than high, and a copy of another file.
    found[f"{GREEN}/wide.png"] = encoded(paint(2, 98, 200, 300))
    found[f"{BLUE}/copy.png"] = found[f"{BLUE}/00.png"]
    return found | {f"{BLUE}/cut.png": encoded(paint(1, 97))[:-40]}


def list_set(folder: Path, source: str = "photos") -> None:
    """Makes a folder one whose data set is listed, checked and divided.

    Args:
        folder: where; its own, since stages run there.
        source: the data set, by the end of its name a folder or an archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changes = {"dataset.path": source, "backbone.weights": "none", "split.kind": "stratified"}
    workspace(folder, changes)
    pack(folder / source, photos())
    with chdir(folder):
        divide_anew()


def divide_anew() -> None:
    """Runs the stages up to the split here."""
    run("manifest")
    for shard in range(SHARDS):
        run("tensors", str(shard))
    run("duplicates")
    run("split")


def build_set(folder: Path) -> None:
    """The same with features, suspected labels, mistakes, and a model by the mean of a colour."""
    from graft.models.description import write_description
    from graft.models.framework import keras
    from graft.models.saving import save_graph

    list_set(folder)
    with chdir(folder):
        run("backbone")
        for shard in range(SHARDS):
            run("features", str(shard))
        run("depth")
        run("cross_validation")
        inputs = keras.Input((SIDE, SIDE, 3), name="pixels")
        means = keras.layers.GlobalAveragePooling2D()(inputs)
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(means), name="finetuned")
        model.set_weights([0.02 * np.eye(3), np.zeros(3)])
        Path("data/models").mkdir(parents=True, exist_ok=True)
        save_graph(model, Path("data/models/finetuned.xml"))
        about = describe(CLASSES, inputs="pixels", side=SIDE)
        write_description(Path("data/models/finetuned.xml"), about)
        _write_mistakes()


def _write_mistakes() -> None:
    """What the model said of validation and test: one mistake in each, of good labels."""
    split = read_table(Path("data/split.csv"))
    for part, name in (("valid", "validation"), ("test", "predictions")):
        mine = split[(split["part"] == part) & ~split["path"].isin(ASTRAY)]
        first = mine["path"].str.startswith(BLUE) & ~mine["path"].str.endswith("00.png")
        predicted = mine["label"].copy()
        predicted[mine.index[first.to_numpy()][:1]] = GREEN
        table = mine[["path", "label"]].assign(predicted=predicted, confidence=0.75)
        Path("reports/finetuned").mkdir(parents=True, exist_ok=True)
        table.to_csv(f"reports/finetuned/{name}.csv", index=False)


def copy_set(built: Path, folder: Path) -> Path:
    """A copy of a project, with the times of its files."""
    shutil.copytree(built, folder, symlinks=True)
    return folder


class Answer(NamedTuple):
    """What the server answers."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def said(self) -> Any:
        """The data as JSON."""
        return json.loads(self.data)


class Opened:
    """A running `graft open`.

    Attributes:
        port: of its server.
        address: as it is printed, with the token.
        cookie: that the address gives.
        run: the command.
    """

    def __init__(self, command: Run) -> None:
        self.run = command
        assert command.wait_until(lambda: "token=" in command.text), command.text
        self.address = re.search(r"http://\S+", command.text)[0]
        self.port = int(self.address.split(":")[2].partition("/")[0])
        self.cookie = ""
        entered = self.ask(self.address.partition(str(self.port))[2], Cookie="")
        assert entered.status == 200, entered
        self.cookie = entered.headers["set-cookie"].partition(";")[0]

    def ask(self, path: str, body: Any = None, method: str = "", **headers: str | None) -> Answer:
        """Sends a request as a page of the server does, but for the headers that are given.

        Args:
            path: what is asked for.
            body: bytes, or plain values to be sent as JSON; without it nothing is sent.
            method: by default POST where there is a body.
            headers: `_` in a name is a hyphen; None sends none of this name.
        """
        method = method or ("GET" if body is None else "POST")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        own = {"Host": f"127.0.0.1:{self.port}", "Cookie": self.cookie}
        if method == "POST":
            own |= {"Origin": f"http://127.0.0.1:{self.port}"}
            own |= {"Content-Length": str(len(data or b""))}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in own.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders()
            # One that refuses early may close before all is sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(data or b"")
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    def decide(self, id_: str, label: str) -> Answer:
        """Says that a picture has a label; an empty one leaves it out."""
        return self.ask("/api/decide", {"id": id_, "label": label})

    def end(self) -> int:
        """Ends it as Ctrl-C does: its exit status."""
        if self.run.status is None:
            os.kill(self.run.pid, signal.SIGINT)
        status = self.run.wait(60)
        assert status is not None
        return status


def start_open(folder: Path, *arguments: str) -> Opened:
    """Starts `graft open` in a project."""
    command = [sys.executable, "-m", "graft", "open", "--no-browser", *arguments]
    return Opened(Run(command, folder, os.environ))


@contextmanager
def opened(folder: Path, *arguments: str) -> Iterator[Opened]:
    """The same, which ends with the block."""
    server = start_open(folder, *arguments)
    try:
        yield server
    finally:
        server.end()


def find_id(path: str) -> str:
    """The id of a picture of `photos`."""
    return identity(photos()[path])


def corrections(folder: Path) -> list[tuple[str, str, str]]:
    """What the corrections of a project say: path, label, leave_out."""
    table = read_table(folder / "data/corrections.csv")
    columns: Sequence[str] = [name for name in ("path", "label", "leave_out") if name in table]
    return [tuple(row[name] for name in columns) for row in table.to_dict("records")]
