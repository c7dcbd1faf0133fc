# How good the models are, measured and drawn.


rule evaluate:
    input:
        bridge.inputs("evaluate"),
    output:
        *(
            report(
                path,
                caption=f"../report/{path.rpartition('/')[2].replace('.', '_')}.rst",
                category="Test part",
                labels={"model": "{model}", "file": path.rpartition("/")[2]},
            )
            for path in bridge.outputs("evaluate", "model")
        ),
    log:
        "logs/evaluate@{model}.log",
    benchmark:
        "logs/evaluate@{model}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
    shell:
        "dvc --wait-for-lock repro --single-item evaluate@{wildcards.model} 2>&1 | tee {log}"


rule report:
    input:
        bridge.inputs("report"),
    output:
        *(
            report(
                path,
                caption="../report/picture.rst",
                category="Pictures",
                labels={"file": path.partition("/")[2]},
            )
            for path in bridge.outputs("report")
        ),
    log:
        "logs/report.log",
    benchmark:
        "logs/report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
    shell:
        "dvc --wait-for-lock repro --single-item report 2>&1 | tee {log}"
