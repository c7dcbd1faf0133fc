"""What an export is to be, and what is known of it once it is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graft.exporting.agreement import Agreement, ProgramCheck
from graft.models.description import ModelDescription


class Request(NamedTuple):
    """What is to be exported.

    Attributes:
        kind: the format, of FORMATS.
        quantize: as `check_format` takes it.
        model: a `.keras` file of graft, from pixels.
        folder: where to.
        description: what the model says of itself.
        predictions: what the pipeline has predicted with this model, as `evaluate` writes it; None
            where it is another one, of which Keras says what is expected.
        metrics: of this model on the test part, as `metrics.json` has them; empty where they are
            not known.
        training: what `training.json` says of it; empty where it is another one.
        parameters: of the project, by dotted key.
        licence: an identifier of Hugging Face.
        accept_loss: whether it is written although quantising costs more than chance.
    """

    kind: str
    quantize: str
    model: Path
    folder: Path
    description: ModelDescription
    predictions: Path | None
    metrics: Mapping[str, float]
    training: Mapping[str, Any]
    parameters: Mapping[str, Any]
    licence: str
    accept_loss: bool


class Facts(NamedTuple):
    """What a card says, and `model.json`.

    Attributes:
        request: what was exported.
        counts: images of each class by part: train, valid, test.
        agreement: of the export with the model.
        program: what `use.py` said of files.
        calibrated: how many images int8 was calibrated on.
        files: of the export, by name.
        weight: bytes of the model.
        version: of the runtime.
        input: what `model.json` says of it: dtype and shape, and of numbers of 8 bits their scale
            and zero point.
        output: the same.
    """

    request: Request
    counts: Mapping[str, list[int]]
    agreement: Agreement
    program: ProgramCheck
    calibrated: int
    files: tuple[str, ...]
    weight: int
    version: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
