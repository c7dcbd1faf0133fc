# The pretrained network, and its features of every image. Shards run side by side; where a shard has
# a node of its own, give it more: `--set-threads features=8`.


rule backbone:
    input:
        bridge.inputs("backbone"),
    output:
        *bridge.outputs("backbone"),
    log:
        "logs/backbone.log",
    benchmark:
        "logs/backbone.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "dvc --wait-for-lock repro --single-item backbone 2>&1 | tee {log}"


rule features:
    input:
        bridge.inputs("features"),
    output:
        *bridge.outputs("features", "shard"),
    log:
        "logs/features@{shard}.log",
    benchmark:
        "logs/features@{shard}.tsv"
    conda:
        "../../environment.yml"
    # The shards run side by side and divide the cores; the stage takes as many as it is given.
    threads: max(1, (workflow.cores or 4) // 4)
    resources:
        mem_mb=2000,
    shell:
        "dvc --wait-for-lock repro --single-item features@{wildcards.shard} 2>&1 | tee {log}"
