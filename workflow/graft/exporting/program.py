"""The program of an export, `use.py`: written beside the model, and run as a user runs it."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graft import decoder
from graft.common.errors import UserError
from graft.decoder.picture import decode_picture
from graft.decoder.reasons import Undecodable
from graft.exporting.agreement import LARGEST_DIFFERENCE, ProgramCheck
from graft.exporting.conversion import run_export, run_keras
from graft.exporting.facts import Request
from graft.exporting.originals import Originals
from graft.exporting.texts import fill_program

PROGRAM, DECODER = "use.py", "decoder"  # a file and a folder of every export
# Files that programs decode in different ways, and some that are no picture:
# workflow/scripts/odd_pictures.py makes them.
ODD = Path(__file__).parent / "odd"


def write_program(request: Request, folder: Path, known: str) -> None:
    """Writes `use.py`, and beside it the files of graft by which it decodes, as they are.

    Args:
        request: what is exported.
        folder: of the export.
        known: the name of the file of known photos; empty if there is none.
    """
    text = fill_program(request, known)
    (folder / PROGRAM).write_text(text, encoding="utf-8", newline="\n")
    (folder / DECODER).mkdir()
    for path in sorted(Path(decoder.__file__).parent.glob("*.py")):
        shutil.copyfile(path, folder / DECODER / path.name)


def check_program(request: Request, folder: Path, originals: Originals) -> ProgramCheck:
    """Runs `use.py` in a process of its own on files, and compares its answers with graft's.

    graft decodes the same files here. Of a float32 export the answers to these pixels are the
    model's by Keras; of a quantised one they are its own, since it may differ from the model.

    Args:
        request: what is exported.
        folder: of the export, complete but for its card.
        originals: files of the test part.

    Raises:
        UserError: the program ends in an error, or answers otherwise.
    """
    odd = {path.name: path.read_bytes() for path in sorted(ODD.iterdir())}
    files = {f"{number}": data for number, data in enumerate(originals.files)} | odd
    said = _run(folder, files)
    pictures = dict[str, np.ndarray]()
    for name, data in files.items():
        decoded = _decode(data, request)
        if not isinstance(decoded, str):
            pictures[name] = decoded
        elif said[name].get("reason") != decoded:
            raise _otherwise(name, f"refuse it ({decoded})", said[name])
    pixels = np.stack(list(pictures.values()))
    if request.quantize:
        expected = run_export(request.kind, folder, pixels)
    else:
        expected = run_keras(request.model, pixels)
    largest, classes = 0.0, request.description.classes
    for name, own in zip(pictures, expected, strict=True):
        answers = said[name].get("probabilities", {})
        difference = float(np.abs([answers.get(one, np.nan) for one in classes] - own).max())
        if not difference <= LARGEST_DIFFERENCE:  # which a missing one is not either
            raise _otherwise(name, f"say {classes[own.argmax()]!r}, {own.max():.4f}", said[name])
        largest = max(largest, difference)
    return ProgramCheck(
        originals=len(originals.files),
        kinds=originals.kinds,
        problem=originals.problem,
        odd=len(odd),
        refused=len(files) - len(pictures),
        difference=largest,
    )


def _run(folder: Path, files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """What the program says of files, by their names."""
    # Without -B the decoder would leave its compiled files in the export.
    command = [sys.executable, "-B", folder.resolve() / PROGRAM, "--json", *files]
    with tempfile.TemporaryDirectory(prefix="graft-") as place:
        for name, data in files.items():
            Path(place, name).write_bytes(data)
        ended = subprocess.run(
            command, cwd=place, capture_output=True, encoding="utf-8", check=False
        )
    answers = map(json.loads, ended.stdout.splitlines())
    said = {answer["path"]: answer for answer in answers}
    if set(said) != set(files):
        last = "".join(ended.stderr.splitlines()[-1:])
        allowed = "must answer for each file; nothing was written"
        raise UserError(f"{PROGRAM} of the export {allowed}. Received: {last!r}")
    return said


def _decode(data: bytes, request: Request) -> np.ndarray | str:
    """The pixels that graft sees in a file, uint8 (side, side, 3), or why there are none."""
    about = request.description
    try:
        look = (about.side, about.fit, about.background, about.white_level)
        return decode_picture(data, *look).pixels
    except Undecodable as error:
        return str(error)


def _otherwise(name: str, allowed: str, answer: Mapping[str, Any]) -> UserError:
    received = answer.get("reason") or f"{answer['label']}, {answer['confidence']:.4f}"
    which = "an original file of the test part" if name.isdecimal() else name
    return UserError(
        f"{PROGRAM} of the export must answer as graft does; nothing was written. Of {which} it"
        f" should {allowed}. Received: {received!r}"
    )
