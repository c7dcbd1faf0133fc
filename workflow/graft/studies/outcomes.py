"""What a study has found: every setting on validation, the choice, and only then the test part."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, NamedTuple

from graft.common.errors import UserError
from graft.revisions.pairing import identify_images
from graft.revisions.settings import Setting, read_setting
from graft.revisions.verdicts import compare_settings
from graft.statistics.accuracy import accuracy_interval
from graft.studies.declaration import PlannedRun, StudySetting

# The model that a run ends with: the head on its network where nothing was fine-tuned.
_MODEL = "finetuned"


class SettingOutcome(NamedTuple):
    """How one setting did.

    Attributes:
        setting: which.
        runs: of its seeds, by the validation part; each named as the setting.
        refs: their experiments, as git refers to them.
        accuracies: on validation, of each seed, 0–1.
        loss: the mean log loss on validation, nats.
    """

    setting: StudySetting
    runs: tuple[Setting, ...]
    refs: tuple[str, ...]
    accuracies: tuple[float, ...]
    loss: float

    @property
    def accuracy(self) -> float:
        """The mean accuracy on validation, 0–1, by which settings are chosen."""
        return mean(self.accuracies)


class OutcomeOnTest(NamedTuple):
    """How one setting did on the test part.

    Attributes:
        accuracies: of each seed, 0–1; that of the first is of the model that its experiment has.
        low: the lower end of the 95 % interval of the first, by unit.
        high: its upper end.
    """

    accuracies: tuple[float, ...]
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        """The mean accuracy of the seeds, 0–1."""
        return mean(self.accuracies)


def gather_outcomes(
    runs: Sequence[PlannedRun], experiments: Mapping[str, str]
) -> list[SettingOutcome]:
    """What the settings that have an experiment did on validation, in their order.

    Args:
        runs: of the study.
        experiments: by name, as git refers to them.
    """
    by_setting: dict[str, list[PlannedRun]] = {}
    for run in runs:
        if run.experiment in experiments:
            by_setting.setdefault(run.setting.name, []).append(run)
    found = []
    for name, own in by_setting.items():
        refs = tuple(experiments[run.experiment] for run in own)
        sides = tuple(read_setting(ref, "validation")._replace(name=name) for ref in refs)
        models = [side.models[_MODEL] for side in sides]
        losses = [model.log_loss for model in models if model.log_loss is not None]
        accuracies = tuple(model.accuracy for model in models)
        found.append(SettingOutcome(own[0].setting, sides, refs, accuracies, mean(losses)))
    return found


def choose_setting(outcomes: Sequence[SettingOutcome]) -> SettingOutcome:
    """The setting with the best mean accuracy on validation.

    Of equal ones that with the lower log loss, then the first. Those count that have as many seeds
    as any, since a mean of few is good by chance more easily.

    Raises:
        UserError: there is none.
    """
    if not outcomes:
        raise UserError("no run of the study has come to its end")
    most = max(len(outcome.accuracies) for outcome in outcomes)
    whole = [outcome for outcome in outcomes if len(outcome.accuracies) == most]
    return max(whole, key=lambda outcome: (outcome.accuracy, -outcome.loss))


def compare_with_chosen(
    chosen: SettingOutcome, outcomes: Sequence[SettingOutcome]
) -> dict[str, dict[str, Any]]:
    """By setting, how the chosen one differs from it on validation, in accuracy.

    Images are compared pair by pair between the models of the first seeds, and seeds by their
    means, as `graft compare` does.

    Returns:
        For each other setting what `compare_settings` says of the accuracy of its last model.
    """
    found = {}
    for other in outcomes:
        if other is not chosen:
            old, new = identify_images(_with_seeds(other), _with_seeds(chosen))
            found[other.setting.name] = compare_settings(old, new)["models"][_MODEL]["accuracy"]
    return found


def judge_on_test(outcome: SettingOutcome) -> OutcomeOnTest:
    """What the test part says of a setting; to be asked once the choice is made."""
    models = [read_setting(ref, "test").models[_MODEL] for ref in outcome.refs]
    first = models[0].images
    interval = accuracy_interval(first["right"].to_numpy(), first["unit"].to_numpy())
    accuracies = tuple(model.accuracy for model in models)
    return OutcomeOnTest(accuracies, float(interval.low), float(interval.high))


def _with_seeds(outcome: SettingOutcome) -> Setting:
    """The run of the first seed, with the results of all seeds as its repeats."""
    first = outcome.runs[0]
    model = first.models[_MODEL]._replace(seeds={"accuracy": outcome.accuracies})
    return first._replace(models=first.models | {_MODEL: model})
