"""Write workflow/graft/network/networks.json: what params.yaml is checked against.

    uv run python workflow/scripts/networks.py [NAME …]

Run it when Keras or a network of graft's own changes, for all networks or those named; a test
compares a few of them. Of the
networks of Keras both sides are kept: Keras checks them, but does not list them.
"""

import json
import sys

from graft.backbone.architectures import OWN_NETWORKS, build_network
from graft.common.atomic import write_text
from graft.models.framework import keras
from graft.network.catalogue import NETWORKS, NETWORKS_FILE


def describe(name: str) -> dict[str, int | str | list[int]]:
    """The sides, the parameters and the layers of a network without its classifier."""
    keras.backend.clear_session()  # layers without a name of their own are counted a session
    if name in OWN_NETWORKS:
        _, *sides = OWN_NETWORKS[name]
        row = {"sides": sides}
    else:
        known = NETWORKS[name]
        row = {"sides": [*known.sides], "imagenet": known.imagenet}
    network = build_network(name, row["sides"][0])
    layers = " ".join(layer.name for layer in network.layers)
    return row | {"parameters": network.count_params(), "layers": layers}


if __name__ == "__main__":
    rows = json.loads(NETWORKS_FILE.read_text(encoding="utf-8"))
    rows |= {name: describe(name) for name in sys.argv[1:] or {*OWN_NETWORKS, *rows}}
    lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    write_text(NETWORKS_FILE, "{\n" + ",\n".join(lines) + "\n}\n")
