"""Git, asked by commands."""

import subprocess


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
