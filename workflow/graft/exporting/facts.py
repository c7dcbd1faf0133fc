"""What is known of an export once it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graft.exporting.agreement import Agreement
from graft.models.description import ModelDescription

UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class Facts:
    """What a card says, and `model.json`.

    Attributes:
        kind: the format, of FORMATS.
        quantize: as `check_format` takes it.
        description: what the model says of itself.
        counts: images of each class by part: train, valid, test.
        metrics: of the test part, as `metrics.json` has them; those of the description at least.
        training: what `training.json` says; empty where the model is none of the last run.
        split: the parameters `split.train`, `split.valid`, `split.test` and `dataset.group`.
        agreement: of the export with the model.
        calibrated: how many images int8 was calibrated on.
        files: of the export, by name.
        weight: bytes of the model.
        version: of the runtime.
        licence: an identifier of Hugging Face.
    """

    kind: str
    quantize: str
    description: ModelDescription
    counts: Mapping[str, list[int]]
    metrics: Mapping[str, float]
    training: Mapping[str, Any]
    split: Mapping[str, Any]
    agreement: Agreement
    calibrated: int
    files: tuple[str, ...]
    weight: int
    version: str
    licence: str = UNKNOWN_LICENCE
