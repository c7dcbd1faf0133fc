"""Write workflow/graft/networks.json: what params.yaml is checked against without TensorFlow.

    uv run python workflow/scripts/networks.py

To be run again when Keras is another one; a test compares a few of the networks.
"""

import json
from pathlib import Path

from graft.common.atomic import write_text
from graft.models.framework import keras
from graft.project.catalogue import FILE, NETWORKS


def describe(name: str) -> dict[str, int | str]:
    """The parameters and the layers of a network without its classifier, input included."""
    from graft.network import architectures

    keras.backend.clear_session()  # layers without a name of their own are counted a session
    side = NETWORKS[name].sides[0]
    body = architectures.network(name, side)
    return {
        "side": side,
        "parameters": body.count_params(),
        "layers": " ".join(layer.name for layer in body.layers),
    }


if __name__ == "__main__":
    rows = [f" {json.dumps(name)}: {json.dumps(describe(name))}" for name in NETWORKS]
    write_text(Path(FILE), "{\n" + ",\n".join(rows) + "\n}\n")
