"""Export the chosen model for another program, checked in its own runtime, with a model card."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graft.common.errors import UserError, refuse
from graft.common.numbers import say_bytes, say_percent
from graft.common.stage import Stage
from graft.common.tables import read_json
from graft.exporting.contents import check_folder_of_export
from graft.exporting.facts import Facts, Request
from graft.exporting.formats import FORMATS, QUANTIZED, check_format
from graft.integrity.ground import flatten
from graft.models.description import read_description
from graft.project.launcher import make_stage
from graft.project.parameters import read_parameters
from graft.project.pipeline import declarations
from graft.project.upstream import check_upstream
from graft.tools.options import parse_options

_MODEL = Path("data/models/finetuned.keras")
# Says with which images, and how, the chosen model was measured.
_MEASURED_BY = "evaluate@finetuned"
_PREDICTIONS = Path("data/predictions/finetuned.npy")
_METRICS, _TRAINING = (Path(f"reports/finetuned/{name}.json") for name in ("metrics", "training"))
_SPLIT = ("split.train", "split.valid", "split.test", "dataset.group")
# A loss of accuracy, as a fraction, that is worth a warning.
_WARN = 0.01


def main(arguments: list[str]) -> None:
    """`graft export --format FORMAT`: writes a folder with the model and all that its use needs.

    All that can be known to be wrong is, before TensorFlow is imported.

    Raises:
        UserError: an option is wrong, an extra is not installed, the model is not of this project,
            the pipeline has not run, or the export answers otherwise than the pipeline.
    """
    options = _options(arguments)
    name = "-".join(filter(None, [options.format, options.quantize]))
    folder = options.output or Path("exports", name)
    check_folder_of_export(folder)
    values = read_parameters()
    stage = _measuring_stage(values, options.model)
    description = read_description(options.model)
    from graft.exporting.evidence import check_origin

    check_origin(stage, options.model, description)
    from graft.exporting.making import make_export

    chosen = options.model.resolve() == _MODEL.resolve()
    flat = flatten(values)
    request = Request(
        kind=options.format,
        quantize=options.quantize,
        model=options.model,
        folder=folder,
        description=description,
        predictions=_PREDICTIONS if chosen else None,
        metrics=read_json(_METRICS) if chosen else {},
        training=read_json(_TRAINING) if chosen else {},
        split={key: flat[key] for key in _SPLIT},
        licence=options.licence,
    )
    for line in tell_export(folder, make_export(request, stage)):
        print(line)


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


def _measuring_stage(values: dict[str, Any], model: Path) -> Stage:
    """The stage that measured the chosen model; its inputs are those of an export.

    Raises:
        UserError: the pipeline has not run to its end, or not with the present parameters.
    """
    stages = declarations(values)
    (measured,) = (stage for stage in stages if stage.address == _MEASURED_BY)
    needed = [*measured.inputs, _PREDICTIONS, _METRICS, _TRAINING]
    if model.resolve() == _MODEL.resolve():
        needed.insert(0, model)
    missing = [path for path in needed if not path.is_file()]
    if missing:
        raise UserError(
            "an export is of a run that has ended: `uv run snakemake --cores all`, then again."
            f" Received: no {missing[0]}"
        )
    check_upstream(measured, stages, flatten(values))
    return make_stage(measured, values, {})


def tell_export(folder: Path, facts: Facts) -> Iterator[str]:
    """What was written, how it agrees and what it lost, line by line."""
    quantize, found = facts.request.quantize, facts.agreement
    kind = FORMATS[facts.request.kind]
    yield f"{folder / kind.model}: {say_bytes(facts.weight)}"
    yield (
        f"  run in {kind.runtime} {facts.version} on {found.n} test images: the label is the"
        f" pipeline's for {found.equal}, probabilities differ by {found.difference:.1g} at most"
    )
    if quantize:
        yield f"  accuracy {say_percent(found.after)}, before {say_percent(found.before)}"
    lost = found.before - found.after
    if lost > _WARN:
        yield (
            f"  warning: {quantize} costs {100 * lost:.1f} percentage points of accuracy;"
            f" export without --quantize, or with another one"
        )
    yield f"  python {folder / 'use.py'} PHOTO says what a photo shows; its card is README.md there"
