"""Take the network's weights out of a trained model, to be a `backbone.weights` elsewhere."""

import argparse
from pathlib import Path

from graft.atomic import whole
from graft.errors import UserError, refuse


def main(arguments: list[str]) -> None:
    """`graft weights MODEL.keras OUT.weights.h5`: the weights of `network`, without the head.

    Raises:
        UserError: the model is missing or not graft's, or the name of the output is wrong.
    """
    parser = argparse.ArgumentParser(prog="graft weights", description=__doc__)
    parser.add_argument("model", type=Path, help="such as data/models/finetuned.keras")
    parser.add_argument("out", type=Path, help="such as data/pretrained/mine.weights.h5")
    options = parser.parse_args(arguments)
    if not options.model.is_file():
        raise refuse("the model", "a file that exists", str(options.model))
    if not options.out.name.endswith(".weights.h5"):
        raise refuse("the output", "a name that ends with .weights.h5", str(options.out))
    from graft import models
    from graft.architectures import BODY

    try:
        network = models.load(options.model).get_layer("backbone").get_layer(BODY)
    except (ValueError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(f"{options.model} must be an end-to-end model of graft ({first})") from None
    with whole(options.out) as (part,):
        network.save_weights(part)
