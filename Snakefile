# Snakemake schedules, DVC remembers. dvc.yaml says what each stage reads and writes; the rules say
# how it runs. DVC is asked what is stale before a run, and told after it what was made:
# workflow/graft/scheduling/engines.py.

import sys

from snakemake.utils import min_version

min_version("9.14")

# The package is the one of this folder, wherever the environment has it from.
sys.path.insert(0, f"{workflow.basedir}/workflow")
from graft.scheduling.engines import Bridge

bridge = Bridge(workflow)


wildcard_constraints:
    model=bridge.keys("evaluate"),
    shard=bridge.keys("tensors"),


include: "workflow/rules/data.smk"
include: "workflow/rules/network.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/evaluation.smk"


rule all:
    default_target: True
    input:
        bridge.results(),


onstart:
    bridge.start()


onsuccess:
    bridge.end()


onerror:
    bridge.end()
