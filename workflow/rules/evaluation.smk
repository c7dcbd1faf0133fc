# How good the models are, measured and drawn.

from pathlib import Path

# A model that was fine-tuned is a whole network, which runs over the images of two parts.
whole_networks = {"finetuned"} if bridge.parameter("finetune", "unfreeze") != "none" else set()


use rule manifest as evaluate with:
    input:
        bridge.inputs("evaluate"),
    output:
        *(
            (
                report(
                    path,
                    caption=f"../report/{Path(path).stem}.rst",
                    category="Predictions",
                    labels={"model": "{model}", "file": Path(path).name},
                )
                if path.startswith("reports/")
                else path
            )
            for path in bridge.outputs("evaluate", "model")
        ),
    log:
        "logs/evaluate@{model}.log",
    threads: lambda wildcards: bridge.needs.cores if wildcards.model in whole_networks else 1
    resources:
        mem_mb=bridge.needs.amount(2000, each=20, network="memory"),
        runtime=bridge.needs.amount(20, each=10, network="minutes"),
    params:
        stage=bridge.command("evaluate"),


use rule manifest as report with:
    input:
        bridge.inputs("report"),
    output:
        *(
            report(
                path,
                caption=f"../report/{Path(path).stem}.rst",
                category="Page" if path.endswith(".html") else "Pictures",
                labels={"file": path.partition("/")[2]},
            )
            for path in bridge.outputs("report")
        ),
    log:
        "logs/report.log",
    threads: 2
    resources:
        mem_mb=bridge.needs.amount(1000, each=40),
        runtime=bridge.needs.amount(20, each=5),
    params:
        stage=bridge.command("report"),
