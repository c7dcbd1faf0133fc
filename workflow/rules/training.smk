# What learns, and what it needs besides features. `head` and `finetune` always run four threads, so
# that their results do not depend on the machine; with fewer cores the four share them.


rule views:
    input:
        bridge.inputs("views"),
    output:
        *bridge.outputs("views"),
    log:
        "logs/views.log",
    benchmark:
        "logs/views.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=2000,
    shell:
        "dvc --wait-for-lock repro --single-item views 2>&1 | tee {log}"


rule depth:
    input:
        bridge.inputs("depth"),
    output:
        *bridge.outputs("depth"),
    log:
        "logs/depth.log",
    benchmark:
        "logs/depth.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "dvc --wait-for-lock repro --single-item depth 2>&1 | tee {log}"


rule head:
    input:
        bridge.inputs("head"),
    output:
        *bridge.outputs("head"),
    log:
        "logs/head.log",
    benchmark:
        "logs/head.tsv"
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        mem_mb=2000,
    shell:
        "dvc --wait-for-lock repro --single-item head 2>&1 | tee {log}"


rule finetune:
    input:
        bridge.inputs("finetune"),
    output:
        *bridge.outputs("finetune"),
    log:
        "logs/finetune.log",
    benchmark:
        "logs/finetune.tsv"
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        mem_mb=4000,
    shell:
        "dvc --wait-for-lock repro --single-item finetune 2>&1 | tee {log}"
