"""What libraries find in the environment, and what a terminal gets to see."""

import os
import subprocess
import sys

import pytest

from graft.common.environment import set_environment
from images import python

LEFT = {"OMP_NUM_THREADS": "3", "KERAS_HOME": "/k", "TF_CPP_MIN_LOG_LEVEL": "0", "HOME": "/h"}
LEFT |= {"CUDA_VISIBLE_DEVICES": "1", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "PYTHONPATH": "/p"}
TAKEN = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "TF_USE_LEGACY_KERAS",
    "PYTHONWARNINGS",
)
TAKEN += ("KERAS_MAX_EPOCHS", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE", "PYTHONOPTIMIZE", "OV_ANY")
SET = {"KERAS_BACKEND": "tensorflow", "MPLBACKEND": "agg", "TF_BUILD": "graft"}


def test_what_is_about_the_machine_stays_and_what_is_about_results_goes() -> None:
    given = LEFT | dict.fromkeys(TAKEN, "1") | dict.fromkeys(SET, "other")
    assert set_environment(given) == LEFT | SET
    assert set_environment({}) == SET | {"TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_error_comes_after_the_lines_before_it_in_any_encoding(encoding: str) -> None:
    program = (
        "import sys; from graft.common.environment import print_anything; print_anything();"
        "print('3 → 4'); print('error – 1', file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    first, second = ended.stdout.decode(encoding).splitlines()
    assert first.startswith("3 ") and second.startswith("error ")


def test_openvino_starts_no_thread() -> None:
    code = """
    import threading
    from graft.common.environment import take_environment
    take_environment()
    import openvino
    print(threading.active_count())
    """
    assert python(code, env=os.environ | {"TF_BUILD": "", "CI": ""}) == "1\n"
