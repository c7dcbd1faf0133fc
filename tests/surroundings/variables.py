"""Variables of the environment and files in the home folder that libraries read."""

import json
from collections.abc import Iterator, Mapping
from functools import partial

from surroundings.scene import ENGINES, NO_EFFECT, REFUSED, Scene, Surrounding

BYTES, START, TEXT = "what libraries read", "Python's settings", "encoding of the terminal"
# What each library would change: the stages that compute with it, and variables that it reads.
READ: dict[tuple[str, ...], tuple[Mapping[str, str], ...]] = {
    ("finetune",): (
        {"TF_ENABLE_ONEDNN_OPTS": "0"},
        {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"},
        {"TF_USE_LEGACY_KERAS": "1"},
        {"KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1"},
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    ),
    ("features 0",): ({"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "ONEDNN_MAX_CPU_ISA": "SSE41"},),
    ("duplicates", "depth", "cross_validation"): (
        {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F"},
        {"PANDAS_FUTURE_INFER_STRING": "0", "SKLEARN_WORKING_MEMORY": "1"},
        {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"},
    ),
    ("report",): ({"MPLBACKEND": "module://matplotlib_inline.backend_inline"},),
}
KERAS_FILES = {
    "float64": {"floatx": "float64", "epsilon": 1e-3},
    "channels_first and another backend": {
        "image_data_format": "channels_first",
        "backend": "torch",
    },
}
AT_START = ({"PYTHONOPTIMIZE": "2"}, {"PYTHONHASHSEED": "7"}, {"PYTHONDONTWRITEBYTECODE": "1"})
LETTERS = ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"})
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def surroundings() -> Iterator[Surrounding]:
    """All of them."""
    for stages, rows in READ.items():
        for row in rows:
            yield Surrounding(BYTES, _name(row), NO_EFFECT, partial(_compute, stages, row), True)
    for name, content in KERAS_FILES.items():
        look = partial(_keras_file, json.dumps(content))
        yield Surrounding(BYTES, f"keras.json with {name}", NO_EFFECT, look, True)
    broken = json.dumps({"floatx": "float8"})
    look = partial(_broken_keras_file, broken)
    yield Surrounding(BYTES, "keras.json with a type that Keras does not have", REFUSED, look, True)
    yield Surrounding(BYTES, "a matplotlibrc of one's own", NO_EFFECT, _matplotlibrc, True)
    for row in AT_START:
        yield Surrounding(START, _name(row), NO_EFFECT, partial(_build, row))
    yield Surrounding(START, "PYTHONWARNINGS=error", NO_EFFECT, _warnings)
    for row in LETTERS:
        yield Surrounding(TEXT, _name(row), NO_EFFECT, partial(_say, row))
    yield Surrounding(TEXT, "a locale that is not of UTF-8", REFUSED, _locale)


def _name(variables: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in variables.items())


def _compute(stages: tuple[str, ...], variables: Mapping[str, str], scene: Scene) -> None:
    scene.same_bytes(stages, **variables)


def _keras_file(text: str, scene: Scene) -> None:
    (scene.top / "keras.json").write_text(text, encoding="utf-8")
    scene.same_bytes(("backbone", "finetune"), KERAS_HOME=str(scene.top))


def _broken_keras_file(text: str, scene: Scene) -> None:
    (scene.top / "keras.json").write_text(text, encoding="utf-8")
    scene.refuses("graft", "head", "--force", says="keras.json", KERAS_HOME=str(scene.top))


def _matplotlibrc(scene: Scene) -> None:
    text = "font.size: 30\naxes.grid: True\nsavefig.dpi: 20\n"
    (scene.top / "matplotlibrc").write_text(text, encoding="utf-8")
    scene.same_bytes(("report",), MATPLOTLIBRC=str(scene.top / "matplotlibrc"))


def _build(variables: Mapping[str, str], scene: Scene) -> None:
    scene.both_build(**variables)


def _warnings(scene: Scene) -> None:
    """DVC itself fails with it, in its own libraries; graft's commands and Snakemake do not."""
    scene.change()
    assert scene.run("graft", "use", PYTHONWARNINGS="error").status == 0
    assert scene.run("graft", "verify", PYTHONWARNINGS="error").status == 0
    run = scene.run("snakemake", "--cores", "2", PYTHONWARNINGS="error")
    assert run.status == 0, run.text
    scene.is_right()
    scene.is_idle()


def _say(variables: Mapping[str, str], scene: Scene) -> None:
    scene.both_build(**variables)
    run = scene.run("graft", "use", "digits", "--force", **variables)
    assert (run.status == 0 and "shards" in run.text) or "augment" in run.text, run.text
    assert "Traceback" not in run.text


def _locale(scene: Scene) -> None:
    scene.change()
    for command in (*ENGINES, ("graft", "use", "digits", "--force")):
        scene.refuses(*command, says="must be one of UTF-8: `export LC_ALL=C.UTF-8`", **ASCII)
