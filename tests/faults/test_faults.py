"""A few faults of each kind; `python -m tests.faults` injects all of them."""

from pathlib import Path

import pytest

from faults.bases import Base
from faults.table import all_faults, bases
from faults.trial import BROKEN, SKIPPED, WRONG, Fault, named_commands, perform
from faults.truth import Knowledge, false_records, read_lock

RUNNING = (
    "kill in a stage: SIGKILL to the leader of dvc, features@0 at half",
    "kill while DVC records: SIGKILL while dvc makes DVC rewrite dvc.lock",
    "kill while DVC records: SIGKILL between the end of report and its record",
    "parameters edited in mid-run: edited while report of dvc is at half",
    "code edited in mid-run: edited while report of snakemake is at start",
    "edits before DVC has recorded: parameters edited while dvc has not seen the end of report",
    "edits that concern no running stage: a comment in params.yaml, while report of dvc is at half",
)
BETWEEN = (
    "images that change in mid-run: one arrives while manifest of dvc is at half",
    "damaged files of the cache: a bit flipped, its time kept; earlier parameters return",
    "damaged outputs: a file of data/ a bit flipped, its time new",
    "damaged dvc.lock: emptied, then dvc",
    "damaged memories of the engines: .dvc/tmp/rwlock emptied, then dvc",
    "several engines at once: dvc starts while a stage of dvc runs",
    "branches, merges and remotes: a merge with a conflict in dvc.lock, then dvc",
)


def chosen(titles: tuple[str, ...]) -> list[Fault]:
    """The faults of these kinds and names."""
    found = {f"{fault.kind}: {fault.name}": fault for fault in reversed(all_faults())}
    return [found[title] for title in titles]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A built project of stand-ins."""
    return bases(tmp_path_factory.mktemp("bases"))[False]


def check(fault: Fault, base: Base, folder: Path) -> None:
    """A fault must be survived, or mended by the one command that a message names."""
    outcome = perform(fault, base, folder)
    if outcome.verdict == SKIPPED:
        pytest.skip(outcome.detail)
    assert outcome.verdict not in (WRONG, BROKEN), f"{outcome.detail}\n{outcome.printed}"


# Two classes, since a worker of xdist takes whole classes.
class TestWhileItRuns:
    """Faults that hit a run."""

    @pytest.mark.parametrize("fault", chosen(RUNNING), ids=lambda fault: fault.name)
    def test_a_fault_is_survived(self, fault: Fault, base: Base, tmp_path: Path) -> None:
        check(fault, base, tmp_path / "trial")


class TestInBetween:
    """Faults that hit files, and the harness itself."""

    @pytest.mark.parametrize("fault", chosen(BETWEEN), ids=lambda fault: fault.name)
    def test_a_fault_is_survived(self, fault: Fault, base: Base, tmp_path: Path) -> None:
        check(fault, base, tmp_path / "trial")

    def test_a_false_record_is_seen(self, base: Base, tmp_path: Path) -> None:
        """Every record of an undisturbed build is known and true; one changed digit is noticed."""
        folder = tmp_path / "project"
        base.copy(folder)
        knowledge = Knowledge()
        knowledge.learn(folder, base.expect(folder))
        assert knowledge.unknown(folder) == []
        assert false_records(folder, knowledge) == []
        out, _ = read_lock(folder / "dvc.lock")["manifest"]["outs"]
        record = f"    - path: data/manifest.csv\n      hash: md5\n      md5: {out['md5']}"
        record = f"    outs:\n{record}"
        text = (folder / "dvc.lock").read_text(encoding="utf-8")
        assert record in text
        text = text.replace(record, record.replace(out["md5"], "0" * 32))
        (folder / "dvc.lock").write_text(text, encoding="utf-8")
        (false,) = false_records(folder, knowledge)
        assert false == "dvc.lock has a false record of data/manifest.csv"

    def test_a_message_names_a_command(self) -> None:
        text = "dvc.lock is cut: run `git checkout dvc.lock` or see `docs/`; "
        assert named_commands(f"{text}`git checkout dvc.lock`") == ["git checkout dvc.lock"]
