"""Run many settings with several seeds as experiments of DVC, and compare them."""

import sys
from pathlib import Path

from graft.common.errors import refuse
from graft.project.choices import place_images
from graft.revisions.git import check_repository
from graft.studies.conduct import conduct_study
from graft.studies.declaration import find_study, list_studies, plan_runs, read_study
from graft.tools.options import parse_options, read_changes

_FOLDER = Path("reports/studies")


def main(arguments: list[str]) -> None:
    """`graft study [NAME|FILE]`: makes the runs that are missing, and says what was found.

    Without a study, lists all. The exit status is 1 if a run has failed.

    Raises:
        UserError: there is no such study, it or one of its settings is not valid, the code is not
            committed, or no run has come to its end.
    """
    options = parse_options("study", __doc__, arguments)
    if options.study is None:
        studies = list_studies()
        width = max(map(len, studies), default=0)
        print("\n".join(f"{name:<{width}}  {title}" for name, title in studies.items()))
        return
    for name, least in (("seeds", 1), ("jobs", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise refuse(f"--{name}", f"a whole number from {least} on", value)
    if options.minutes is not None and not options.minutes > 0:
        raise refuse("--minutes", "a number above 0", options.minutes)
    check_repository()
    study = read_study(find_study(options.study), options.seeds)
    images = None if options.images is None else place_images(options.images)
    changes = read_changes(options.set)
    runs = plan_runs(study, images, changes, by_seed=options.minutes is not None)
    conducted = conduct_study(study.name, runs, options.jobs, options.minutes)

    # What reads results takes a second to import.
    from graft.studies.findings import describe_findings, find_out, write_findings
    from graft.studies.outcomes import gather_outcomes

    findings = find_out(study, gather_outcomes(runs, conducted.experiments), conducted)
    table, page = write_findings(_FOLDER, findings)
    print(describe_findings(findings), end="")
    print(f"The table is in {table}, the page is {page}.")
    first = next(run for run in runs if run.setting.name == findings.chosen.setting.name)
    print(f"To have it here: uv run dvc exp apply {first.experiment}")
    sys.exit(1 if conducted.failed else 0)
