"""Makes an export: converts, runs it back, compares, and writes all that goes with the model."""

import sys
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from graft.common.errors import UserError
from graft.common.stage import Stage
from graft.common.tables import read_json, write_json
from graft.exporting.agreement import check_agreement, check_loss, compare_answers, tell_agreement
from graft.exporting.contents import ABOUT, BESIDE, MADE_BY, whole_export, write_labels
from graft.exporting.conversion import add_known, convert_model, run_export, run_keras
from graft.exporting.evidence import Evidence, read_evidence
from graft.exporting.facts import Facts, Request
from graft.exporting.formats import FORMATS, read_versions
from graft.exporting.originals import read_originals
from graft.exporting.program import DECODER, PROGRAM, check_program, write_program
from graft.exporting.texts import fill_template
from graft.exporting.web import add_page

_CARD = "README.md"


def make_export(request: Request, stage: Stage) -> Facts:
    """Writes an export, whole or not at all.

    Args:
        request: what and where to.
        stage: must declare what `read_evidence` needs.

    Raises:
        UserError: a float32 export answers otherwise than the pipeline, or an answer of any is not
            finite.
        LossAboveChance: quantising costs more than chance, and the request does not accept that.
    """
    evidence = read_evidence(stage)
    expected = _read_expected(request, evidence)
    kind, description = FORMATS[request.kind], request.description
    with whole_export(request.folder) as folder:
        _tell(f"converting to {kind.title}")
        write_labels(folder, description.classes)
        write_json(folder / ABOUT, _describe(request))
        convert_model(request, folder, evidence.calibration)
        _tell(f"running it on {len(evidence.pixels)} test images")
        found = run_export(request.kind, folder, evidence.pixels)
        agreement = compare_answers(expected, found, evidence.labels, evidence.units)
        if not request.quantize:
            check_agreement(agreement)
        elif not request.accept_loss:
            check_loss(agreement, request.quantize)
        beside = [folder / name for name in BESIDE]
        made = [path for path in folder.rglob("*") if path.is_file() and path not in beside]
        model = sorted({path.relative_to(folder).parts[0] for path in made})
        known = add_known(request, folder)
        write_program(request, folder, "".join(known))
        _tell(f"running {PROGRAM}, as a user would")
        originals = read_originals(request.parameters["dataset.path"], evidence.originals)
        program = check_program(request, folder, originals)
        page = add_page(request, folder)
        about = read_json(folder / ABOUT)  # which some formats add to
        facts = Facts(
            request=request,
            counts=evidence.counts,
            agreement=agreement,
            calibrated=len(evidence.calibration),
            program=program,
            files=(*model, *known, *page, *BESIDE, PROGRAM, DECODER, _CARD),
            weight=sum(path.stat().st_size for path in made),
            version=version(kind.runtime),
            input=about["input"],
            output=about["output"],
        )
        about |= {"checked": tell_agreement(agreement, program), "files": facts.files}
        write_json(folder / ABOUT, about)
        text = fill_template(_CARD, facts)
        (folder / _CARD).write_text(text, encoding="utf-8", newline="\n")
    return facts


def _tell(what: str) -> None:
    print(f"export: {what}", file=sys.stderr, flush=True)


def _read_expected(request: Request, evidence: Evidence) -> np.ndarray:
    if request.predictions is None:
        return run_keras(request.model, evidence.pixels)
    stored = np.load(request.predictions)
    if len(stored) <= evidence.places.max():
        allowed = "what the pipeline predicts with this model: run the pipeline again"
        raise UserError(f"{request.predictions} must be {allowed}. Received: {len(stored)} rows")
    return stored[evidence.places]


def _describe(request: Request) -> dict[str, Any]:
    """What `model.json` says of input, output and model."""
    about = request.description
    return {
        "made_by": MADE_BY,
        "format": request.kind,
        "quantized": request.quantize or "no",
        "model": FORMATS[request.kind].model,
        "input": {
            "name": "pixels",
            "dtype": "uint8",
            "shape": [1 if request.kind == "tflite" else None, about.side, about.side, 3],
            "layout": "batch, rows, columns, RGB; 0 to 255",
            "fit": about.fit,
            "background": about.background,
            "white_level": about.white_level,
        },
        "output": {"name": "probabilities", "dtype": "float32"},
        "run_in": read_versions(request.kind, request.quantize),
        "classes": list(about.classes),
        "description": asdict(about),
        "licence": request.licence,
    }
