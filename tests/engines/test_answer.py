"""The end of a run is an answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from cases import read_cases
from graft.scheduling.answer import say_answer

CASES = read_cases(__file__)

CROSSED, WARNING = CASES["crossed"], CASES["warning"]


@pytest.fixture
def results(empty: Path) -> dict[str, Any]:
    return {
        "head/metrics": CASES["head"],
        "finetuned/metrics": CASES["tuned"],
        "finetuned/training": {"chosen": "finetuned", "trained": 100},
        "cross_validation": CROSSED | {"headline": "test"},
        "warnings": [],
    }


def answer(results: dict[str, Any]) -> str:
    for name, values in results.items():
        path = Path(f"reports/{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    return say_answer()


def test_it_has_both_models_the_choice_and_what_comes_next(results: dict[str, Any]) -> None:
    text = answer(results)
    _, title, head, tuned, why, _, *following = text.splitlines()
    assert title.endswith("on 1,271 test images")
    assert head.split() == ["head", "97.8", "%", "95.0–99.0", "0.046"]
    assert tuned.split() == ["fine-tuned", "99.6", "%", "95.0–99.0", "0.015", "chosen"]
    assert why == "Chosen on validation: log loss 0.024 against 0.047 of the head"
    assert "reports/index.html" in following[0] and "graft predict" in following[1]


def test_it_says_why_the_head_is_used(results: dict[str, Any]) -> None:
    results["finetuned/training"] = {"chosen": "head", "trained": 100, "epochs": 3}
    assert "\nThe head is used: on validation, fine-tuning gained no more" in answer(results)
    results["finetuned/training"] = {"chosen": "head", "trained": 100, "epochs": 0}
    assert "\nNothing was fine-tuned; log loss of the head on validation 0.047" in answer(results)


def test_warnings_come_with_their_command(results: dict[str, Any]) -> None:
    results["warnings"] = [WARNING, WARNING | {"command": ""}]
    text = answer(results)
    assert "\nWarning: the images are grey\n    uv run dvc exp run -S a.b=c\n" in text
    assert text.count("Warning: ") == 2


def test_a_small_test_part_does_not_lead(results: dict[str, Any]) -> None:
    results["cross_validation"] = CROSSED | {"headline": "cross_validation"}
    text = answer(results)
    assert text.startswith("\nCross-validated on all 180 images: 90.0 % (85.0–94.0).\n")
    assert text.index("The test part is too small to say it so well; it says:") < text.index("head")


def test_what_could_not_be_measured_is_a_dash(results: dict[str, Any]) -> None:
    nothing = dict.fromkeys(CASES["head"]) | {"n": 0}
    results |= {"head/metrics": nothing, "finetuned/metrics": nothing}
    results["cross_validation"] = dict.fromkeys(CROSSED) | {"n": 0, "headline": "cross_validation"}
    assert "nan" not in answer(results).lower()
