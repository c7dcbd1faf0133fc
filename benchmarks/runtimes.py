"""In which versions of which runtimes an export answers as it does here.

    uv run --all-extras python -m benchmarks.runtimes [--quick]

Run it in the folder of a built project; `--quick` takes the oldest and the newest version of each
runtime. For each version there is an environment of its own, made by uv and deleted after use, in
which `peers/run_export.py` runs every export that the runtime reads on 50 test images. It prints a
table for docs/export.md, and says on the way why a version refuses. It writes
`workflow/graft/exporting/versions.yaml`, from which a model card says in which versions its format
was run. It loads some 4 GB, and takes about 20 min on two busy cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.projects import BIN, ROOT
from graft.exporting.conversion import run_export
from graft.exporting.evidence import read_evidence
from graft.exporting.formats import FORMATS
from graft.integrity.yaml12 import read_yaml_file
from graft.project.launcher import make_stage
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations

PROGRAM = ROOT / "benchmarks/peers/run_export.py"
CASES = Path(__file__).with_suffix(".yaml")
VERSIONS = ROOT / "workflow/graft/exporting/versions.yaml"
IMAGES = 50
# Of a probability. Kernels of 8 and 16 bits round otherwise from version to version.
LARGEST, LARGEST_ROUNDED = 1e-4, 0.05


class Found(NamedTuple):
    """What came of an export in a version of a runtime.

    Attributes:
        version: of the runtime.
        difference: the largest of a probability; NaN where there was no answer.
        error: why there was none, in a line.
    """

    version: str
    difference: float
    error: str


def main(arguments: list[str]) -> None:
    """Prints a table in Markdown, and writes VERSIONS."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runtimes")
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args(arguments).quick
    found: dict[tuple[str, str], list[Found]] = {}
    with tempfile.TemporaryDirectory(prefix="graft-runtimes-") as name:
        folder = Path(name)
        expected = _export_all(folder)
        for case in read_yaml_file(CASES):
            packages = case["packages"]
            some = [packages[0], packages[-1]] if quick and len(packages) > 1 else packages
            for wanted in some:
                for runtime, export, result in _run_all(folder, case, wanted, expected):
                    found.setdefault((export, runtime), []).append(result)
    print("\n".join(_table(found)))
    ranges: dict[str, dict[str, str]] = {}
    for (export, runtime), results in sorted(found.items()):
        if span := _span(export, results):
            ranges.setdefault(export, {})[runtime] = span
    _write(ranges)


def _export_all(folder: Path) -> dict[str, np.ndarray]:
    """Makes every export, and runs it here: the answers by `FORMAT` or `FORMAT-QUANTIZE`."""
    values = read_parameters()
    (measured,) = (one for one in declarations(values) if one.address == "evaluate@finetuned")
    pixels = read_evidence(make_stage(measured, values, {})).pixels[:IMAGES]
    np.save(folder / "pixels.npy", pixels)
    expected = {}
    for kind, format_ in FORMATS.items():
        for way in ("", *format_.quantize):
            export = f"{kind}-{way}" if way else kind
            options = ["--quantize", way, "--accept-loss"] if way else []
            command = [BIN / "graft", "export", "--format", kind, *options]
            command += ["--output", folder / export]
            subprocess.run(command, stdout=sys.stderr, check=True)
            expected[export] = run_export(kind, folder / export, pixels)
    return expected


def _run_all(
    folder: Path, case: dict, packages: str, expected: dict[str, np.ndarray]
) -> Iterator[tuple[str, str, Found]]:
    """Runs the exports of a case in an environment with these packages, which is deleted then."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        environment = Path(place, "environment")
        python = environment / "bin/python"
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, environment], check=True)
        install = ["uv", "pip", "install", "-q", "--python", python, *packages.split()]
        subprocess.run(install, check=True)
        for runtime, package in case["runtimes"].items():
            version = _version(python, package)
            for export in _exports(case["exports"][runtime], expected):
                result = _run(folder, python, runtime, export, expected[export])
                print(f"{runtime} {version}: {export} {result}", file=sys.stderr, flush=True)
                yield runtime, export, Found(version, *result)


def _exports(kinds: list[str], expected: dict[str, np.ndarray]) -> list[str]:
    return [export for export in expected if export.partition("-")[0] in kinds]


def _version(python: Path, package: str) -> str:
    program = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.check_output([python, "-c", program], text=True).strip()


def _run(
    folder: Path, python: Path, runtime: str, export: str, expected: np.ndarray
) -> tuple[float, str]:
    """The largest difference of a probability, or the last error that was named."""
    answers = folder / "answers.npy"
    answers.unlink(missing_ok=True)
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [python, "-I", PROGRAM, runtime, folder / export, folder / "pixels.npy", answers]
    done = subprocess.run(command, env=quiet, capture_output=True, text=True)
    if done.returncode or not answers.is_file():
        lines = [line for line in done.stderr.splitlines() if "rror" in line]
        return float("nan"), " ".join((lines or ["killed"])[-1].split())
    return float(np.abs(np.load(answers) - expected).max()), ""


def _is_equal(export: str, result: Found) -> bool:
    return result.difference <= (LARGEST_ROUNDED if "-" in export else LARGEST)


def _span(export: str, results: list[Found]) -> str:
    """The last versions in a row that answer equally, such as `3.4.0–3.15.1`; empty without any."""
    groups = groupby(results, partial(_is_equal, export))
    spans = [[one.version for one in group] for equal, group in groups if equal]
    return "–".join(dict.fromkeys([spans[-1][0], spans[-1][-1]])) if spans else ""


def _table(found: dict[tuple[str, str], list[Found]]) -> Iterator[str]:
    """The lines of the table; exports of which a runtime says the same share one."""
    rows: dict[tuple[str, str, str], list[tuple[str, float]]] = {}
    for (export, runtime), results in sorted(found.items()):
        good = [one for one in results if _is_equal(export, one)]
        bad = [one for one in results if one not in good]
        reasons = [
            f"{one.version}: {'refuses' if one.error else f'differs by {one.difference:.1g}'}"
            for one in bad
        ]
        versions = ", ".join(dict.fromkeys(one.version for one in good)) or "none"
        largest = max((one.difference for one in good), default=float("nan"))
        rows.setdefault((runtime, versions, ", ".join(reasons)), []).append((export, largest))
    yield "| export | runtime | answers equally | largest difference | does not |"
    yield "|---|---|---|---|---|"
    for (runtime, versions, reasons), exports in rows.items():
        names = ", ".join(f"`{export}`" for export, _ in exports)
        largest = f"{max(difference for _, difference in exports):.1g}"
        cells = (names, runtime, versions, largest.replace("nan", ""), reasons)
        yield f"| {' | '.join(cells)} |"


def _write(ranges: dict[str, dict[str, str]]) -> None:
    lines = ["# In which versions each export was run. `python -m benchmarks.runtimes` writes it."]
    for export, runtimes in ranges.items():
        inner = ", ".join(f"{name}: {span}" for name, span in runtimes.items())
        lines.append(f"{export}: {{{inner}}}")
    VERSIONS.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
