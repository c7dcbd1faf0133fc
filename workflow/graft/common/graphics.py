"""Whether this process may compute on a graphics card.

Only stages that gain from one may: those that say so in dvc.yaml (`gpu` of their `meta`), and
`features` where a parameter asks for it. A card rounds in another way than a processor does, and
its start takes seconds.
"""

_allowed = False


def allow_gpu() -> None:
    """Lets TensorFlow use a card where it finds one; to be called before it is set up."""
    global _allowed
    _allowed = True


def is_gpu_allowed() -> bool:
    """Whether it may."""
    return _allowed
