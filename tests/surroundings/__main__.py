"""`python -m tests.surroundings`, run in the repository's folder."""

import os
import sys
from pathlib import Path

# Files of tests find each other by their plain names, as they do in pytest (pyproject.toml).
TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS / "helpers"), str(TESTS)]
os.chdir(TESTS.parent)

from surroundings.table import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
