"""Git, asked by commands: what a revision is, and what people call it."""

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from graft.common.errors import UserError, refuse

# DVC keeps an experiment below the commit that it began from, whose name it cuts in two.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38,62})/(.+)")
# What DVC writes where a person gives no message; a hash follows.
_NO_MESSAGE = "dvc: commit experiment "


class Revision(NamedTuple):
    """A commit.

    Attributes:
        commit: its full name.
        name: what it is called: as it was asked for; a hash gives way to the name of an experiment,
            a tag or a branch, if there is one.
        title: its short name and its subject; of an experiment without a message, what it began
            from.
    """

    commit: str
    name: str
    title: str


def run_git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Runs git in the present folder.

    Raises:
        FileNotFoundError: there is none on the path.
    """
    return subprocess.run(["git", *arguments], capture_output=True)


def ask_git(*arguments: str) -> str:
    """What git prints; nothing where it fails or is missing."""
    try:
        ended = run_git(*arguments)
    except FileNotFoundError:
        return ""
    return ended.stdout.decode(errors="replace").strip() if ended.returncode == 0 else ""


def check_repository() -> None:
    """Checks that the present folder is in a git repository.

    Raises:
        UserError: it is not, or there is no git.
    """
    try:
        ended = run_git("rev-parse", "--is-inside-work-tree")
    except FileNotFoundError:
        raise UserError("comparing needs git, and there is none on the path") from None
    if ended.stdout.strip() != b"true":
        why = ended.stderr.decode(errors="replace").strip().partition("\n")[0]
        received = f"{Path.cwd()}{why and f' ({why})'}"
        raise UserError(f"comparing takes a git repository. Received: {received}")


def find_revision(text: str) -> Revision:
    """Finds a commit.

    Args:
        text: any name that git takes for a commit, or that of an experiment of DVC.

    Raises:
        UserError: there is no such revision.
    """
    # Git would take a name that begins with a dash for an option.
    found = "" if text.startswith("-") else ask_git("rev-parse", "--verify", "-q", text)
    if not found:  # an experiment of DVC is known to git by a longer name
        refs = [ref for ref in list_refs("refs/exps") if ref.endswith(f"/{text}")]
        found = refs[0] if len(refs) == 1 else ""
    # A tag has a name of its own.
    commit = found and ask_git("rev-parse", "--verify", "-q", f"{found}^{{commit}}")
    if not commit:
        allowed = "a commit, branch, tag or experiment of this git repository"
        raise refuse("a revision", allowed, text)
    refs = list_refs(f"--points-at={commit}", "refs/exps", "refs/tags", "refs/heads")
    experiments = [found for found in map(_EXPERIMENT.fullmatch, refs) if found]
    names = [found[3] for found in experiments]
    for kind in ("refs/tags/", "refs/heads/"):
        names += [ref.removeprefix(kind) for ref in refs if ref.startswith(kind)]
    name = names[0] if names and commit.startswith(text.lower()) else text
    title = _title(commit)
    short, _, subject = title.partition(" ")
    if experiments and subject.startswith(_NO_MESSAGE):
        title = f"{short} experiment on {_title(experiments[0][1] + experiments[0][2])}".rstrip()
    return Revision(commit, name, title)


def list_refs(*arguments: str) -> list[str]:
    return ask_git("for-each-ref", "--format=%(refname)", *arguments).splitlines()


def _title(commit: str) -> str:
    title = ask_git("-c", "log.showSignature=false", "log", "-1", "--format=%h %s", commit)
    return "".join(c if c.isprintable() else " " for c in title)
