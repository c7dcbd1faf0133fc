"""The screen of graft as a logger of Snakemake, by its interface for plugins.

Snakemake finds it by the name of this package, and uses it where a profile or `--logger graft` asks
for it, as `profiles/default` does.
"""

import sys
from pathlib import Path

# The package is the one of the folder that Snakemake runs in, wherever the environment has it from.
if Path("workflow/graft").is_dir():
    sys.path.insert(0, str(Path("workflow").absolute()))

from graft.scheduling.snakemake_screen import LogHandler

__all__ = ["LogHandler"]
