"""What libraries find in the environment of a process: the same in every process of graft.

TensorFlow alone reads more than a hundred variables. Some change the bytes of a result
(`TF_ENABLE_ONEDNN_OPTS`, `OPENBLAS_CORETYPE`), some let a stage fail (`MPLBACKEND` of a notebook).
None of them is a part of the record of a result. So what a result could depend on is set here, and
all of its kin is taken out. What is about the machine alone stays: numbers of threads, memory,
where caches are, which graphics card is seen. Only the standard library is imported here: each
command begins with it.
"""

import contextlib
import os
import re
import sys
from collections.abc import Mapping

from graft.common.errors import UserError

# With TF_BUILD, the mark of a build machine, OpenVINO reports nothing to its makers when it is
# imported. The thread that does so imports modules, and a fork made meanwhile would wait for ever.
_SET = {"KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg", "TF_BUILD": "graft"}
_USUAL = {"TF_CPP_MIN_LOG_LEVEL": "3"}  # unless a person wants to see more
_TAKEN = re.compile(
    r"(?:TF2?|XLA|KERAS|ONEDNN|DNNL|OV|OPENVINO|TBB|OPENBLAS|GOTO|BLIS|MKL|NPY|NUMEXPR|PANDAS|SCIPY"
    r"|SKLEARN|CUBLAS|CUDNN|NVIDIA_TF32)_\w+|PYTHON(?:OPTIMIZE|WARNINGS|DEVMODE)|GLIBC_TUNABLES"
)
_LEFT = re.compile(r"\w+_NUM_THREADS|KERAS_HOME|TF_CPP_\w+|TF_(?:FORCE_)?GPU_\w+|NPY_DISTUTILS\w*")
# What a process reads at its start, before anything of graft: it has to start anew.
_READ_AT_START = re.compile(r"PYTHON\w+|GLIBC_TUNABLES")


def set_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process of graft that was started with others.

    Args:
        environment: what it was started with.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not _TAKEN.fullmatch(name) or _LEFT.fullmatch(name)
    }
    return _USUAL | kept | _SET


def take_environment() -> list[str]:
    """Sets the variables of this process.

    Returns:
        The names of those that it has read at its start, and that should not have been there.
    """
    before = dict(os.environ)
    after = set_environment(before)
    for name in before.keys() - after.keys():
        del os.environ[name]
    os.environ.update(after)
    return [name for name in before.keys() - after.keys() if _READ_AT_START.fullmatch(name)]


def print_anything() -> None:
    """Lets this process print letters that its terminal does not have, and each line at once.

    In ASCII or Latin-1 they appear as `\\u2013`. An error, which is not kept back, comes after the
    lines that were printed before it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # replaced, or closed
            stream.reconfigure(errors="backslashreplace", line_buffering=True)


def check_locale() -> None:
    """Checks that files have the same names for this process as for any other.

    Raises:
        UserError: they are read in another encoding than UTF-8.
    """
    if (encoding := sys.getfilesystemencoding()) != "utf-8":
        raise UserError(
            "the locale must be one of UTF-8: `export LC_ALL=C.UTF-8`, then run again. Received:"
            f" {encoding}, in which names of images would be others"
        )


# Only stages that gain from a graphics card may compute on it: those that say so in dvc.yaml (`gpu`
# of their `meta`), and `features` where a parameter asks for it. A card rounds in another way than
# a processor does, and its start takes seconds.
_allowed = False


def allow_gpu() -> None:
    """Lets TensorFlow use a card where it finds one; to be called before it is set up."""
    global _allowed
    _allowed = True


def is_gpu_allowed() -> bool:
    """Whether it may."""
    return _allowed
