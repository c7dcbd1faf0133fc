"""Check params.yaml as a whole, and keep what this build was made with.

This stage catches what no other one would under DVC: a key that none of them reads.
"""

import json

from graft import parameters
from graft.atomic import write_text
from graft.stage import Stage


def main(arguments: list[str]) -> None:
    """Writes the parameters by dotted key, in the order of the file, to `data/params.json`."""
    stage = Stage("params", arguments)
    flat = parameters.flatten(parameters.read())
    write_text(stage.output("params_json"), json.dumps(flat, indent=1, ensure_ascii=False) + "\n")
