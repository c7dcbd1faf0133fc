"""What a job costs by the number of shards, in seconds of a core: stages only hash what they read.

    uv run python -m benchmarks.shards              # 12, 500 and 2,000 shards

Of a shard's `tensors`: the stage by itself, as `graft tensors 7`, and the job that a cluster runs,
in which Snakemake starts first; at last `snakemake -n`, by which the submitting process begins.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from graft.project.choices import divide

ROOT = Path(__file__).parent.parent
COUNTS = (12, 500, 2000)
_JOB = ("--mode", "remote", "--force", "--nolock", "--cores", "1", "--allowed-rules", "tensors")


def main() -> None:
    """Prints a row for each number of shards."""
    sys.path.insert(0, str(ROOT / "tests/helpers"))
    import project

    print("| shards | stage | job | `snakemake -n` |\n|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            made = project.make(Path(folder) / str(count), standins=True)
            divide(count, made.folder)
            made.run("graft", "manifest", "--shards", str(count))
            made.run("snakemake", "-n", "--quiet")
            seconds = [
                measure(made, "graft", "tensors", "7", "--force"),
                measure(made, "snakemake", *_JOB, "--target-jobs", "tensors:shard=7"),
                measure(made, "snakemake", "-n", "--quiet"),
            ]
            print(f"| {count:,} | {' | '.join(f'{s:.1f} s' for s in seconds)} |", flush=True)


def measure(made: object, *command: str) -> float:
    """The seconds of a core that a command takes, with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = {"cwd": made.folder, "env": made.environment(), "stdout": subprocess.DEVNULL}
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
