"""Write workflow/graft/network/hub.json: the presets that KerasHub publishes of image networks.

    uv run --extra hub python workflow/scripts/hub.py

Run it when KerasHub changes. Nothing is fetched: the sides and patches of networks that have
positions of their own are in the names of their presets.
"""

import json
import re

import keras_hub

from graft.common.atomic import write_text
from graft.network.hub import FAMILIES, PRESETS_FILE, TOWERS

USUAL = 224  # pixels of a side where a name has none, as of `clip_vit_base_patch16`
PATCHES = {"DINOV2Backbone": 14, "DINOV3Backbone": 16}  # pixels, of all their presets
REGISTERS = 4  # tokens, where there are any: Darcet et al. 2023, arXiv:2309.16588


def describe(family: str, name: str, parameters: int) -> dict[str, str | int]:
    """A row of the file, as `Preset` has it."""
    side = re.search(r"_(\d{3})(_|$)", name)
    own = int(side[1]) if side else USUAL
    registers = REGISTERS * ("registers" in name or family == "DINOV3Backbone")
    return {
        "family": family,
        "side": own if FAMILIES[family].sides == "own" else 0,
        "patch": PATCHES.get(family, 1),
        "prefix": FAMILIES[family].tokens + registers,
        "parameters": parameters,
    }


if __name__ == "__main__":
    rows = {}
    for shown in (*FAMILIES, *TOWERS):
        family = TOWERS.get(shown, shown)
        for name, preset in getattr(keras_hub.models, shown).presets.items():
            rows[name] = describe(family, name, preset["metadata"]["params"])
    lines = [f" {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items()]
    write_text(PRESETS_FILE, "{\n" + ",\n".join(lines) + "\n}\n")
