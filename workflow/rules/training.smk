# What learns. These stages always run four threads, so that their results do not depend on the
# machine; with fewer cores the four share them.


rule head:
    input:
        unpack(bridge.inputs("head")),
    output:
        **bridge.outputs("head"),
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
        unpack(bridge.inputs("finetune")),
    output:
        **bridge.outputs("finetune"),
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
