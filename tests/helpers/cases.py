"""Reads the test cases and made-up values of a module from the YAML file beside it."""

from pathlib import Path
from typing import Any

from graft.integrity.yaml12 import read_yaml_file


def read_cases(module: str) -> Any:
    """The tables by name, of the module with this `__file__`."""
    return read_yaml_file(Path(module).with_suffix(".yaml"))
