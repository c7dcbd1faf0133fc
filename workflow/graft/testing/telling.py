"""What a trial says, in sentences: on the screen, and on its page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graft.report.sections.class_table import judge_classes
from graft.report.sections.matrix import describe_pairs_of_classes
from graft.report.sections.trust import say_trust
from graft.report.wording import NO_BREAK, open_page_templates
from graft.statistics.reliability import bin_confidences
from graft.testing.trial import Trial

TRIAL_TEMPLATES = Path(__file__).parent / "templates"
_SENTENCES = "trial_sentences.txt.j2"
_PAIRS = 3  # of classes that are confused


def tell_trial(trial: Trial) -> str:
    """The answer for a terminal: lines, of which the first two say how good the model is."""
    tested, model = trial.tested, trial.tested.chosen
    rows = judge_classes(tested, model)
    text = (
        _open()
        .get_template("trial.txt.j2")
        .render(
            trial=trial,
            classes=tested.classes,
            sentence=say_beside(trial),
            trust=say_trust(bin_confidences(model.confidence, model.predicted == tested.labels)),
            weakest=find_weakest(rows),
            pairs=describe_pairs_of_classes(model.counts)[:_PAIRS],
            new=say_new(trial),
        )
    )
    return text.replace(NO_BREAK, " ")


def find_weakest(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The class of which the smallest share of the photos is found; of several the largest.

    Args:
        rows: from `judge_classes`.

    Returns:
        Its row; None where every photo is right.
    """
    own = [row for row in rows if row["recall"] and row["recall"][0] < 1]
    return min(own, key=lambda row: (row["recall"][0], -row["images"]), default=None)


def say_beside(trial: Trial) -> str:
    """The sentence that sets the accuracy beside the promise."""
    who = "the page" if trial.promise.of_page else "its file"
    found = trial.tested.chosen.metrics
    return _say("beside", found=found, promise=trial.promise, verdict=trial.verdict, who=who)


def say_new(trial: Trial) -> list[str]:
    """What the photos of classes that the model does not know were taken for, a sentence each."""
    return [_say("taken", label=label, said=said) for label, said in trial.new.items()]


def _say(sentence: str, **values: Any) -> str:
    macro = getattr(_open().get_template(_SENTENCES).module, sentence)
    return re.sub(r"\s*\n\s*", " ", macro(**values)).strip(" ")


def _open():
    environment = open_page_templates(TRIAL_TEMPLATES, autoescape=False)
    environment.filters["points"] = _say_points
    return environment


def _say_points(difference: float) -> str:
    """A difference of fractions in percentage points, with its sign, such as `−7.4`."""
    text = f"{100 * difference:+.1f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
