"""DVC's YAML, read and written in less time, with the same result.

At each start DVC reads params.yaml once for each stage, and to change `dvc.lock` it reads and
writes it by a parser in Python that keeps comments.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

_SIMPLE = re.compile(r"[A-Za-z0-9_ ./@:+*,-]{0,60}")
_KEPT = 4  # texts


def read_once() -> None:
    """Lets DVC parse each text once, in this process."""
    from dvc.utils.serialize import _yaml

    parse: Callable[..., Any] = _yaml.parse_yaml
    known: OrderedDict[str, Any] = OrderedDict()

    def parse_once(text: str, path: Any, typ: str = "safe") -> Any:
        if typ != "safe":
            return parse(text, path, typ)
        if text not in known:
            known[text] = parse(text, path, typ)
            if len(known) > _KEPT:
                known.popitem(last=False)
        return deepcopy(known[text])

    _yaml.parse_yaml = parse_once


@contextmanager
def modify_lock(path: Path) -> Iterator[Any]:
    """As DVC does it, in a tenth of the time: this file has no comments to keep."""
    from dvc.utils.serialize import load_yaml

    data = load_yaml(path) if path.exists() else {}
    yield data
    path.write_text(dump_lock(data), encoding="utf-8")


def dump_lock(data: Any) -> str:
    """The text that DVC writes for the content of `dvc.lock`, by libyaml where that is the same."""
    from dvc.utils.serialize import dumps_yaml
    from ruamel.yaml import YAML

    if not _is_simple(data):  # the two differ in how they quote and fold
        return dumps_yaml(data)
    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False
    represent = yaml.representer
    represent.add_representer(OrderedDict, type(represent).represent_dict)
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def _is_simple(data: Any) -> bool:
    if isinstance(data, dict):
        return all(_is_simple(key) and _is_simple(value) for key, value in data.items())
    if isinstance(data, list):
        return all(map(_is_simple, data))
    return isinstance(data, int | float) or (
        isinstance(data, str) and _SIMPLE.fullmatch(data) is not None
    )
