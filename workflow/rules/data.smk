# From raw files to arrays of pixels, and to one part for each image. Where a shard has a node of its
# own, give it more: `--set-threads tensors=8`.


# All rules run their stage like this one.
rule manifest:
    input:
        bridge.inputs("manifest"),
    output:
        *bridge.outputs("manifest"),
    log:
        "logs/manifest.log",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=bridge.needs.amount(500, each=10),
        runtime=bridge.needs.amount(10, each=5),
    params:
        stage=bridge.command("manifest"),
    shell:
        "{params.stage} > {log} 2>&1"


use rule manifest as tensors with:
    input:
        bridge.inputs("tensors"),
    output:
        *bridge.outputs("tensors", "shard"),
    log:
        "logs/tensors@{shard}.log",
    # The shards run side by side and divide the cores; the stage takes as many as it is given.
    threads: bridge.needs.share_of_cores("tensors", by_bytes=True)
    resources:
        mem_mb=bridge.needs.amount(1000),
        runtime=bridge.needs.amount(60),
    params:
        stage=bridge.command("tensors"),


use rule manifest as duplicates with:
    input:
        bridge.inputs("duplicates"),
    output:
        *bridge.outputs("duplicates"),
    log:
        "logs/duplicates.log",
    threads: bridge.needs.cores_for_many()
    resources:
        mem_mb=bridge.needs.amount(500, each=100),
        runtime=bridge.needs.amount(10, each=10),
    params:
        stage=bridge.command("duplicates"),


use rule manifest as split with:
    input:
        bridge.inputs("split"),
    output:
        *bridge.outputs("split"),
    log:
        "logs/split.log",
    resources:
        mem_mb=bridge.needs.amount(500, each=40),
        runtime=bridge.needs.amount(10, each=2),
    params:
        stage=bridge.command("split"),


use rule manifest as warnings with:
    input:
        bridge.inputs("warnings"),
    output:
        *bridge.outputs("warnings"),
    log:
        "logs/warnings.log",
    resources:
        mem_mb=bridge.needs.amount(500, each=40),
        runtime=bridge.needs.amount(10, each=2),
    params:
        stage=bridge.command("warnings"),
