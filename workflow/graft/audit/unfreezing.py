"""What `finetune.unfreeze` means: how many layers of a network are trained."""

from collections.abc import Sequence

from graft.common.errors import refuse

WHERE_UNFREEZE = "params.yaml: finetune.unfreeze"
# The values besides numbers and names.
UNFREEZE = NONE, ALL, AUTO = "none", "all", "auto"


def count_unfrozen(unfreeze: int | float | str, layers: Sequence[str]) -> int:
    """How many layers from the top are trained, where `finetune.unfreeze` is not `auto`.

    Args:
        unfreeze: a number of layers, a fraction of them, `none`, `all`, a layer or a block. A
            fraction is at least one layer.
        layers: the names of the network's layers, input first. Where the feature is taken inside
            a branch, these are fewer than those that come before it in the whole network.

    Raises:
        UserError: the network has no such layer or not so many.
    """
    count = len(layers)
    if unfreeze in (NONE, ALL):
        return 0 if unfreeze == NONE else count
    if isinstance(unfreeze, float):
        return max(1, round(unfreeze * count))
    if isinstance(unfreeze, int):
        first, allowed = count - unfreeze, f"or at most {count} layers, which lead to {layers[-1]}"
    else:
        first = first_of_block(layers, unfreeze)
        allowed = f"a number, or a layer that leads to {layers[-1]} ({', '.join(layers[1:])})"
    if first is None or first < 0:
        raise refuse(WHERE_UNFREEZE, f"none, all, auto, {allowed}", unfreeze)
    return count - first


def first_of_block(layers: Sequence[str], block: str) -> int | None:
    """The first layer of a block: the one of that name, or the first that continues it with `_`.

    `block5` is found in VGG16, where `block5_conv1` begins it, `mixed9` in InceptionV3.
    """
    found = (n for n, name in enumerate(layers) if name == block or name.startswith(f"{block}_"))
    return next(found, None)
