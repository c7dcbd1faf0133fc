"""The answer at the end of a run: how good the models are, which is used, and what to do next."""

from pathlib import Path

from graft.common.cautions import read_warnings
from graft.common.tables import read_json
from graft.report.wording import open_page_templates

_REPORTS = Path("reports")
_TEMPLATES = Path(__file__).parent / "templates"


def say_answer() -> str:
    """The results of the project in the present folder, in lines for a terminal."""
    templates = open_page_templates(_TEMPLATES, autoescape=False)
    templates.filters["points"] = lambda share: "–" if share is None else f"{100 * share:.1f}"
    return templates.get_template("answer.txt.j2").render(
        measured={m: read_json(_REPORTS / m / "metrics.json") for m in ("head", "finetuned")},
        training=read_json(_REPORTS / "finetuned/training.json"),
        crossed=read_json(_REPORTS / "cross_validation.json"),
        cautions=read_warnings(_REPORTS / "warnings.json"),
    )
