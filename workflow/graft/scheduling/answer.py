"""The answer at the end of a run: how good the models are, which is used, and what to do next."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graft.common.cautions import read_warnings
from graft.common.tables import read_json
from graft.report.wording import number

_REPORTS = Path("reports")
_TITLES = {"head": "head", "finetuned": "fine-tuned"}
_NEXT = (
    ("the page", "reports/index.html"),
    ("other photos", "uv run graft predict PHOTO"),
    ("other programs", "uv run --extra onnx graft export --format onnx"),
)


def say_answer() -> str:
    """The results of the project in the present folder, in lines for a terminal."""
    measured = {model: read_json(_REPORTS / model / "metrics.json") for model in _TITLES}
    training = read_json(_REPORTS / "finetuned/training.json")
    lines = ["", *_say_models(measured, training["chosen"]), *_say_crossed()]
    lines += [_say_choice(measured, training), *_say_warnings(), ""]
    lines += [f"{title + ':':<16} {what}" for title, what in _NEXT]
    return "\n".join(lines)


def _say_models(measured: Mapping[str, Mapping[str, Any]], chosen: str) -> Iterator[str]:
    any_model = measured[chosen]
    yield f"{'':<12} accuracy  95 % interval  log loss   on {any_model['n']:,} test images"
    for model, metrics in measured.items():
        low, high = metrics["accuracy_low"], metrics["accuracy_high"]
        interval = f"{_percent(low)}–{_percent(high)}"
        mark = "   chosen" if model == chosen else ""
        yield (
            f"{_TITLES[model]:<12} {_percent(metrics['accuracy']):>6} %  {interval:>13}"
            f"  {number(metrics['log_loss']):>8}{mark}"
        )


def _say_crossed() -> Iterator[str]:
    crossed = read_json(_REPORTS / "cross_validation.json")
    if crossed["headline"] != "test" and crossed["n"]:
        low, high = _percent(crossed["accuracy_low"]), _percent(crossed["accuracy_high"])
        yield (
            f"The test part is small. Cross-validated on all {crossed['n']:,} images:"
            f" {_percent(crossed['accuracy'])} % ({low}–{high})"
        )


def _say_choice(measured: Mapping[str, Mapping[str, Any]], training: Mapping[str, Any]) -> str:
    head = number(measured["head"]["valid_log_loss"])
    if training["chosen"] == "finetuned":
        tuned = number(measured["finetuned"]["valid_log_loss"])
        return f"Chosen on validation: log loss {tuned} against {head} of the head"
    if not training["trained"]:
        return f"Nothing was fine-tuned; log loss of the head on validation {head}"
    return "The head is used: on validation, fine-tuning gained no more than chance would"


def _say_warnings() -> Iterator[str]:
    for caution in read_warnings(_REPORTS / "warnings.json"):
        yield f"\nWarning: {caution.text}"
        if caution.command:
            yield f"    {caution.command}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
