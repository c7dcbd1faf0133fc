"""What a model file in Keras' format holds, looked at before Keras opens it.

Such a file says in JSON which classes of Keras make up the model, and with which settings. Some of
them hold Python code, or read other files. Keras' safe mode refuses the first; here a model has
only the layers of graft's own models and of the networks of `keras.applications`.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from graft.network.stored_weights import NotPlain, count_numbers

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS = {_CONFIG, "metadata.json", _WEIGHTS, "graft.json"}
# Classes by the module that Keras writes beside them, "" for none: the layers of graft's own models
# and of the networks of `keras.applications`, and what these are written with. None for all of a
# module.
_CLASSES = json.loads(Path(__file__).with_name("harmless.json").read_text(encoding="utf-8"))


def read_config(path: Path) -> dict[str, Any]:
    """What a `.keras` file says of the model in it, whose parts are all known to be harmless.

    Raises:
        NotPlain: something in it is not, or it is no such file; the message is one line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            config = json.loads(archive.read(_CONFIG))
            count_numbers(io.BytesIO(archive.read(_WEIGHTS)))
        if not isinstance(config, dict):
            raise NotPlain(f"{_CONFIG} holds no model")
        check_kinds(config)
    except NotPlain:
        raise
    except Exception as error:  # broken archives make zipfile and h5py raise almost anything
        raise NotPlain(" ".join(str(error)[:200].split()) or type(error).__name__) from None
    return config


def check_kinds(config: Any) -> None:
    """Checks that all parts of a model, as Keras writes them in JSON, are known to be harmless.

    Raises:
        NotPlain: one is not.
    """
    if isinstance(config, dict) and "class_name" in config:
        module, name = config.get("module"), config["class_name"]
        known = _CLASSES.get(module or "", []) if isinstance(module, str | None) else []
        if known is not None and name not in known:
            raise NotPlain(f"a part of the kind {str(name)[:80]}, which no model of graft has")
    if isinstance(config, dict | list):
        for inner in config.values() if isinstance(config, dict) else config:
            check_kinds(inner)


def _check_members(archive: zipfile.ZipFile) -> None:
    names = [info.filename for info in archive.infolist()]
    for info in archive.infolist():
        if info.filename not in _MEMBERS:
            raise NotPlain(f"a file with {info.filename[:80]} in it")
        if info.compress_type != zipfile.ZIP_STORED:  # as Keras does, so nothing unfolds to more
            raise NotPlain(f"{info.filename} is compressed")
        if names.count(info.filename) > 1:
            raise NotPlain(f"{info.filename} is there twice")
    for name in (_CONFIG, _WEIGHTS):
        if name not in names:
            raise NotPlain(f"a file without {name}")
