# The pretrained network, and its features of every image. Shards run side by side; where a shard has
# a node of its own, give it more: `--set-threads features=8`.


use rule manifest as backbone with:
    input:
        bridge.inputs("backbone"),
    output:
        *bridge.outputs("backbone"),
    log:
        "logs/backbone.log",
    resources:
        mem_mb=bridge.needs.amount(2000, network="memory"),
        runtime=bridge.needs.amount(20),
    params:
        stage=bridge.command("backbone"),


use rule manifest as features with:
    input:
        bridge.inputs("features"),
    output:
        *bridge.outputs("features", "shard"),
    log:
        "logs/features@{shard}.log",
    # The shards run side by side and divide the cores; the stage takes as many as it is given.
    threads: bridge.needs.share_of_cores("features")
    resources:
        mem_mb=bridge.needs.amount(2000, network="memory"),
        runtime=bridge.needs.amount(60, network="minutes"),
    params:
        stage=bridge.command("features"),
