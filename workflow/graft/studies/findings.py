"""What a study says in the end: a table on the screen and as a CSV, and a page with curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from graft.common.atomic import whole, write_text
from graft.common.numbers import say_percent
from graft.common.tables import write_table
from graft.project.parameters import show_value
from graft.report.page import read_asset
from graft.report.reading import MODEL_NAMES
from graft.report.wording import open_page_templates, text_columns
from graft.revisions.comparison import (
    COMPARISON_TEMPLATES,
    draw_histories,
    find_curves,
    tabulate_parameters,
)
from graft.revisions.noise import say_difference
from graft.revisions.settings import MODELS
from graft.studies.conduct import Conducted
from graft.studies.declaration import Study
from graft.studies.outcomes import (
    OutcomeOnTest,
    SettingOutcome,
    choose_setting,
    compare_with_chosen,
    judge_on_test,
)

_TEMPLATES = Path(__file__).parent / "templates"
_CURVES = 6  # settings whose curves can be told apart


class StudyFindings(NamedTuple):
    """All that a study has found.

    Attributes:
        study: what was asked.
        outcomes: of the settings, on validation, in the order of the file.
        chosen: the one of them that is chosen.
        against: by the name of each other setting, how the chosen one differs from it.
        tests: by name, the settings on the test part: the chosen one, and those of which others
            have published something.
        missing: how many runs there are none of, since the time was up.
        failed: what runs said last that failed, by name.
    """

    study: Study
    outcomes: Sequence[SettingOutcome]
    chosen: SettingOutcome
    against: Mapping[str, Mapping[str, Any]]
    tests: Mapping[str, OutcomeOnTest]
    missing: int
    failed: Mapping[str, str]

    @property
    def gap(self) -> float:
        """By how much validation is better than test, for the chosen setting: a fraction."""
        return self.chosen.accuracy - self.tests[self.chosen.setting.name].accuracy


def find_out(
    study: Study, outcomes: Sequence[SettingOutcome], conducted: Conducted
) -> StudyFindings:
    """Chooses by validation, and only then looks at the test part.

    Args:
        study: what was asked.
        outcomes: from `gather_outcomes`.
        conducted: what has become of the runs.

    Raises:
        UserError: no run has come to its end.
    """
    chosen = choose_setting(outcomes)
    shown = [own for own in outcomes if own is chosen or own.setting.published]
    planned = len(study.settings) * len(study.seeds)
    return StudyFindings(
        study=study,
        outcomes=outcomes,
        chosen=chosen,
        against=compare_with_chosen(chosen, outcomes),
        tests={own.setting.name: judge_on_test(own) for own in shown},
        missing=planned - len(conducted.experiments) - len(conducted.failed),
        failed=conducted.failed,
    )


def describe_findings(findings: StudyFindings) -> str:
    """The table for the screen, with the choice and what it is worth."""
    environment = open_page_templates(_TEMPLATES, autoescape=False)
    environment.filters |= {"points": say_difference, "spread": _say_spread}
    return environment.get_template("study.txt.j2").render(
        found=findings, percent=say_percent, ends=_say_ends, lines=_align(_list_cells(findings))
    )


def write_findings(folder: Path, findings: StudyFindings) -> tuple[Path, Path]:
    """Writes `NAME.csv` and `NAME.html` into a folder, both or none.

    The CSV has a row a setting: its name, the parameters that differ (`key=value`, divided by
    spaces), seeds, accuracy (mean, lowest and highest of the seeds) and log loss on validation,
    where the test part was looked at the mean accuracy there and that of the first seed with its
    95 % interval, what was published, and whether it was chosen. Accuracies are fractions.

    Returns:
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = findings.study.name
    table, page = folder / f"{name}.csv", folder / f"{name}.html"
    with whole(table, page) as (new_table, new_page):
        write_table(new_table, _tabulate(findings))
        write_text(new_page, _draw_page(findings))
    return table, page


def _tabulate(findings: StudyFindings) -> pd.DataFrame:
    rows = []
    for own in findings.outcomes:
        test = findings.tests.get(own.setting.name)
        rows.append(
            {
                "setting": own.setting.name,
                "changes": " ".join(_say_changes(own)),
                "seeds": len(own.accuracies),
                "valid_accuracy": round(own.accuracy, 6),
                "valid_lowest": round(min(own.accuracies), 6),
                "valid_highest": round(max(own.accuracies), 6),
                "valid_log_loss": round(own.loss, 6),
                "accuracy": round(test.accuracy, 6) if test else "",
                "first_accuracy": round(test.accuracies[0], 6) if test else "",
                "first_low": round(test.low, 6) if test else "",
                "first_high": round(test.high, 6) if test else "",
                "published": own.setting.published,
                "chosen": "yes" if own is findings.chosen else "no",
            }
        )
    return pd.DataFrame(rows)


def _draw_page(findings: StudyFindings) -> str:
    ranked = sorted(findings.outcomes, key=lambda own: -own.accuracy)
    # The chosen one comes first where others are as good.
    ranked.sort(key=lambda own: own is not findings.chosen)
    drawn = [own.runs[0] for own in ranked[:_CURVES]]
    environment = open_page_templates(_TEMPLATES, COMPARISON_TEMPLATES)
    environment.filters |= {"points": say_difference, "spread": _say_spread}
    return environment.get_template("study.html.j2").render(
        style=read_asset("page.css"),
        found=findings,
        ranked=ranked,
        low=min(min(own.accuracies) for own in ranked),
        drawn=drawn,
        names=MODEL_NAMES,
        parameters=tabulate_parameters([own.runs[0] for own in findings.outcomes]),
        curves={model: [*draw_histories(drawn, model)] for model in MODELS},
        with_curve={model: find_curves(drawn, model) for model in MODELS},
    )


def _list_cells(findings: StudyFindings) -> list[list[str]]:
    """The cells of the table on the screen, a list a row, the titles first."""
    rows = [["", "validation", "log loss", "test", "published"]]
    for own in findings.outcomes:
        test = findings.tests.get(own.setting.name)
        mark = "* " if own is findings.chosen else "  "
        seeds, all_seeds = len(own.accuracies), len(findings.study.seeds)
        few = "" if seeds == all_seeds else f" ({seeds} of {all_seeds} seeds)"
        shown = _say_spread(test.accuracies) if test else ""
        cells = [
            mark + own.setting.name,
            _say_spread(own.accuracies) + few,
            f"{own.loss:.3f}",
            shown,
        ]
        rows.append([*cells, own.setting.published])
    return rows if any(row[-1] for row in rows[1:]) else [row[:-1] for row in rows]


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(text_columns, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - text_columns(cell))
            for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _say_changes(own: SettingOutcome) -> list[str]:
    return [f"{key}={show_value(value)}" for key, value in own.setting.changes.items()]


def _say_spread(accuracies: Sequence[float]) -> str:
    """Such as `97.8 % (97.1–98.2)`, the mean and the range; the mean alone of one seed."""
    mean = say_percent(sum(accuracies) / len(accuracies))
    if len(accuracies) == 1:
        return mean
    return f"{mean} ({_say_ends(min(accuracies), max(accuracies))})"


def _say_ends(low: float, high: float) -> str:
    return f"{100 * low:.1f}–{100 * high:.1f}"
