"""A few faults of each kind; `python -m tests.faults` injects all of them."""

from pathlib import Path

import pytest

from cases import read_cases
from faults.bases import Base
from faults.table import all_faults
from faults.trial import BROKEN, SKIPPED, WRONG, Fault, named_commands, perform
from faults.truth import Knowledge, false_records, read_lock


def chosen(when: str) -> list[Fault]:
    """The faults that the list of this name has, by their kinds and names."""
    found = {f"{fault.kind}: {fault.name}": fault for fault in reversed(all_faults())}
    return [found[title] for title in read_cases(__file__)[when]]


def check(fault: Fault, base: Base, folder: Path) -> None:
    """A fault must be survived, or mended by the one command that a message names."""
    outcome = perform(fault, base, folder)
    if outcome.verdict == SKIPPED:
        pytest.skip(outcome.detail)
    assert outcome.verdict not in (WRONG, BROKEN), f"{outcome.detail}\n{outcome.printed}"


# Two classes, since a worker of xdist takes whole classes.
class TestWhileItRuns:
    """Faults that hit a run."""

    @pytest.mark.parametrize("fault", chosen("running"), ids=lambda fault: fault.name)
    def test_a_fault_is_survived(self, fault: Fault, base: Base, tmp_path: Path) -> None:
        check(fault, base, tmp_path / "trial")


class TestInBetween:
    """Faults that hit files, and the harness itself."""

    @pytest.mark.parametrize("fault", chosen("between"), ids=lambda fault: fault.name)
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
