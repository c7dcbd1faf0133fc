# What learns, and what it needs besides features. Keras always trains with four threads, so that
# the results do not depend on the machine; with fewer cores the four share them. What trains
# nothing, or a linear head, has use for one.


use rule manifest as views with:
    input:
        bridge.inputs("views"),
    output:
        *bridge.outputs("views"),
    log:
        "logs/views.log",
    # Before the features, which take all cores and which it does not need: the head waits for both.
    priority: 1
    threads: 2 if bridge.parameter("augment", "copies") else 1
    resources:
        mem_mb=bridge.needs.amount(2000, each=20, network="memory"),
        runtime=bridge.needs.amount(10, each=20, network="minutes"),
    params:
        stage=bridge.command("views"),


use rule manifest as depth with:
    input:
        bridge.inputs("depth"),
    output:
        *bridge.outputs("depth"),
    log:
        "logs/depth.log",
    resources:
        mem_mb=bridge.needs.amount(1000, each=200),
        runtime=bridge.needs.amount(10, each=10),
    params:
        stage=bridge.command("depth"),


use rule manifest as cross_validation with:
    input:
        bridge.inputs("cross_validation"),
    output:
        *bridge.outputs("cross_validation"),
    log:
        "logs/cross_validation.log",
    resources:
        mem_mb=bridge.needs.amount(1000, each=200),
        runtime=bridge.needs.amount(10, each=10),
    params:
        stage=bridge.command("cross_validation"),


use rule manifest as head with:
    input:
        bridge.inputs("head"),
    output:
        *bridge.outputs("head"),
    log:
        "logs/head.log",
    threads: 4 if bridge.parameter("head", "kind") == "dense" else 1
    resources:
        mem_mb=bridge.needs.amount(2000, each=200),
        runtime=bridge.needs.amount(20, each=20),
    params:
        stage=bridge.command("head"),


use rule manifest as finetune with:
    input:
        bridge.inputs("finetune"),
    output:
        *bridge.outputs("finetune"),
    log:
        "logs/finetune.log",
    # Before the evaluation of the head, which no model waits for.
    priority: 1
    threads: 1 if bridge.parameter("finetune", "unfreeze") == "none" else 4
    resources:
        mem_mb=bridge.needs.amount(4000, each=50, network="memory"),
        runtime=bridge.needs.amount(60, each=120, network="minutes"),
    params:
        stage=bridge.command("finetune"),
