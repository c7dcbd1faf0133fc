# From raw files to arrays of pixels, and to one part for each image. Where a shard has a node of its
# own, give it more: `--set-threads tensors=8`.


rule manifest:
    input:
        bridge.inputs("manifest"),
    output:
        *bridge.outputs("manifest"),
    log:
        "logs/manifest.log",
    benchmark:
        "logs/manifest.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "dvc --wait-for-lock repro --single-item manifest 2>&1 | tee {log}"


rule tensors:
    input:
        bridge.inputs("tensors"),
    output:
        *bridge.outputs("tensors", "shard"),
    log:
        "logs/tensors@{shard}.log",
    benchmark:
        "logs/tensors@{shard}.tsv"
    conda:
        "../../environment.yml"
    # The shards run side by side and divide the cores; the stage takes as many as it is given.
    threads: max(1, (workflow.cores or 4) // 4)
    resources:
        mem_mb=1000,
    shell:
        "dvc --wait-for-lock repro --single-item tensors@{wildcards.shard} 2>&1 | tee {log}"


rule duplicates:
    input:
        bridge.inputs("duplicates"),
    output:
        *bridge.outputs("duplicates"),
    log:
        "logs/duplicates.log",
    benchmark:
        "logs/duplicates.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "dvc --wait-for-lock repro --single-item duplicates 2>&1 | tee {log}"


rule split:
    input:
        bridge.inputs("split"),
    output:
        *bridge.outputs("split"),
    log:
        "logs/split.log",
    benchmark:
        "logs/split.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=500,
    shell:
        "dvc --wait-for-lock repro --single-item split 2>&1 | tee {log}"
