"""`python -m tests.faults`, run in the repository's folder."""

import os
import sys
from pathlib import Path

# Test files import each other by their plain names, as they do in pytest.
TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
os.chdir(TESTS.parent)

from faults.table import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
