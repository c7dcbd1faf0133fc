"""The formats of an export: how each may be quantised, and what must be installed for it."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import yaml

from graft.common.errors import UserError, nearest, refuse

FULL_INT8 = "full-int8"  # with inputs and outputs of 8 bits, too, as microcontrollers need it
QUANTIZED = ("float16", "int8", FULL_INT8)


class ExportFormat(NamedTuple):
    """One format.

    Attributes:
        title: its name for people.
        model: the file or folder of the model within an export.
        runtime: the package that runs it, as it is installed.
        packages: what pip installs for `use.py`.
        library: what Hugging Face calls the library.
        tags: what a model of it is found by there.
        quantize: how it may be quantised, of QUANTIZED.
        needs: the modules that an export imports, by how it is quantised, `""` for float32.
        extra: the extra of pyproject.toml that installs them.
    """

    title: str
    model: str
    runtime: str
    packages: str
    library: str
    tags: Sequence[str]
    quantize: Sequence[str] = ()
    needs: Mapping[str, Sequence[str]] = {}
    extra: str = ""


_ROWS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
_VERSIONS = Path(__file__).with_name("versions.yaml")  # which `benchmarks.runtimes` writes
FORMATS = {name: ExportFormat(**row) for name, row in _ROWS.items()}


def read_versions(name: str, quantize: str) -> dict[str, str]:
    """In which versions such an export was run, by runtime, such as `3.4.0–3.15.1`.

    They were measured with the network of the main job (docs/export.md). Of a new format there are
    none.

    Args:
        name: of FORMATS.
        quantize: one of QUANTIZED, or empty for float32.
    """
    rows = yaml.safe_load(_VERSIONS.read_text(encoding="utf-8"))
    return rows.get(f"{name}-{quantize}" if quantize else name, {})


def check_format(name: str, quantize: str) -> None:
    """Checks that there is such an export, and that what it needs is installed.

    Args:
        name: should be one of FORMATS.
        quantize: should be one of QUANTIZED, or empty for float32.

    Raises:
        UserError: there is no such format or type, not together, or a package is missing.
    """
    if name not in FORMATS:
        raise refuse("--format", f"one of {', '.join(FORMATS)}{nearest(name, FORMATS)}", name)
    if quantize not in ("", *QUANTIZED):
        allowed = f"left out, or one of {', '.join(QUANTIZED)}{nearest(quantize, QUANTIZED)}"
        raise refuse("--quantize", allowed, quantize)
    kind = FORMATS[name]
    if quantize and quantize not in kind.quantize:
        others = ", ".join(other for other in FORMATS if quantize in FORMATS[other].quantize)
        allowed = f"{' or '.join(kind.quantize) or 'left out'} with --format {name}"
        raise refuse("--quantize", f"{allowed}; {quantize} is for {others}", quantize)
    missing = [module for module in kind.needs.get(quantize, ()) if find_spec(module) is None]
    if missing:
        command = f"graft export --format {name}{f' --quantize {quantize}' if quantize else ''}"
        raise UserError(
            f"{command} must have the packages of an extra: `uv run --extra {kind.extra} {command}`"
            f", or `uv sync --extra {kind.extra}` before. Received: no {', '.join(missing)}"
        )
