"""Write workflow/graft/backbone/published.json: the files that Keras publishes for its networks.

    uv run python workflow/scripts/published.py [NAME …]

Run it when Keras changes, for all networks or those named; a test compares a few of them. Keras has
no list of these files, so each network is built until it asks for its file; nothing is fetched.
"""

import inspect
import json
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import numpy as np

from graft.backbone.fetched import CLASS_INDEX, PUBLISHED_FILE
from graft.common.atomic import write_text
from graft.models.framework import keras
from graft.network.catalogue import NETWORKS


class Asked(Exception):
    """Keras asks for a file: its name, its address and the hash that it must have, or None."""


def watch(frame: FrameType, event: str, argument: Any) -> None:
    """Ends what runs once it asks for a file."""
    if event == "call" and frame.f_code is inspect.unwrap(keras.utils.get_file).__code__:
        raise Asked(*(frame.f_locals[key] for key in ("fname", "origin", "file_hash")))


def find_files(name: str) -> list[list[str | None]]:
    """The file of a network with its classifier and that without it; of the class index, one."""
    if name == CLASS_INDEX:
        decode = keras.applications.imagenet_utils.decode_predictions
        return [_ask(partial(decode, np.zeros((1, 1000))))]
    build, side = getattr(keras.applications, name), NETWORKS[name].imagenet
    return [
        _ask(partial(build, include_top=top, input_shape=(side, side, 3))) for top in (True, False)
    ]


def _ask(call: Callable[[], Any]) -> list[str | None]:
    keras.backend.clear_session()
    sys.setprofile(watch)
    try:
        call()
    except Asked as asked:
        return [*asked.args]
    finally:
        sys.setprofile(None)
    raise ValueError(f"Keras asks for no file with {call}")


if __name__ == "__main__":
    rows = json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
    names = [CLASS_INDEX, *(name for name, network in NETWORKS.items() if network.imagenet)]
    rows |= {name: find_files(name) for name in sys.argv[1:] or names}
    lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(rows.items())]
    write_text(PUBLISHED_FILE, "{\n" + ",\n".join(lines) + "\n}\n")
