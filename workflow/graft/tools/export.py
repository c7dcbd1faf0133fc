"""Export the chosen model for another program, checked in its own runtime, with a model card."""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from graft.common.errors import UserError, refuse
from graft.common.stage import Stage
from graft.common.tables import read_json
from graft.exporting.contents import check_folder_of_export
from graft.exporting.facts import Request
from graft.exporting.formats import FORMATS, QUANTIZED, check_format
from graft.integrity.ground import flatten
from graft.models.description import read_description
from graft.project.launcher import make_stage
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from graft.project.upstream import check_upstream
from graft.tools.options import parse_options

_MODEL = Path("data/models/finetuned.keras")
_PREDICTIONS = Path("data/predictions/finetuned.npy")
_METRICS, _TRAINING = (Path(f"reports/finetuned/{name}.json") for name in ("metrics", "training"))


def main(arguments: list[str]) -> None:
    """`graft export --format FORMAT`: writes a folder with the model and all that its use needs.

    All that can be known to be wrong is, before TensorFlow is imported. Where quantising costs more
    than chance, nothing is written and the status is 1, unless `--accept-loss` is given.

    Raises:
        UserError: an option is wrong, an extra is not installed, the model is not of this project,
            the pipeline has not run, or the export answers otherwise than the pipeline.
    """
    options = _options(arguments)
    folder = options.output or Path("exports", f"{options.format}-{options.quantize}".strip("-"))
    check_folder_of_export(folder)
    values = read_parameters()
    chosen = options.model.resolve() == _MODEL.resolve()
    stage = _measuring_stage(values, [options.model] if chosen else [])
    description = read_description(options.model)
    from graft.exporting.evidence import check_origin

    check_origin(stage, options.model, description)
    from graft.exporting.agreement import LossAboveChance
    from graft.exporting.making import make_export
    from graft.exporting.texts import fill_template

    request = Request(
        kind=options.format,
        quantize=options.quantize,
        model=options.model,
        folder=folder,
        description=description,
        predictions=_PREDICTIONS if chosen else None,
        metrics=read_json(_METRICS) if chosen else {},
        training=read_json(_TRAINING) if chosen else {},
        parameters=flatten(values),
        licence=options.licence,
        accept_loss=options.accept_loss,
    )
    try:
        print(fill_template("said.txt", make_export(request, stage)), end="")
    except LossAboveChance as loss:
        print(f"graft export: {loss}", file=sys.stderr)
        sys.exit(1)


def _options(arguments: list[str]) -> argparse.Namespace:
    values = {"formats": ", ".join(FORMATS), "types": " or ".join(QUANTIZED)}
    options = parse_options("export", __doc__, arguments, **values)
    check_format(options.format, options.quantize)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", options.licence):
        allowed = "an identifier of Hugging Face in small letters, such as mit or cc-by-4.0"
        raise refuse("--licence", allowed, options.licence)
    if options.model.suffix != ".keras":
        raise refuse("--model", "a .keras file that graft made", str(options.model))
    return options


def _measuring_stage(values: dict[str, Any], needed: list[Path]) -> Stage:
    """The stage that measured the chosen model; its inputs are those of an export.

    Args:
        values: all parameters, nested.
        needed: what else must be there.

    Raises:
        UserError: the pipeline has not run to its end, or not with the present parameters.
    """
    stages = declarations(values)
    (measured,) = (stage for stage in stages if stage.address == "evaluate@finetuned")
    needed = [*needed, *measured.inputs, _PREDICTIONS, _METRICS, _TRAINING]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        raise UserError(
            "an export is of a run that has ended: `uv run snakemake --cores all`, then again."
            f" Received: no {missing[0]}"
        )
    check_upstream(measured, stages, flatten(values))
    return make_stage(measured, values, {})
