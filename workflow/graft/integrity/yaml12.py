"""YAML 1.2 by PyYAML's C loader, ten times as fast as ruamel.yaml, which DVC reads with.

PyYAML itself follows YAML 1.1, in which `1e-3` is text, `010` is eight and `off` is false. Here
scalars mean what they mean to DVC, and a key that occurs twice is an error, as it is there.
"""

import json
import re
from collections.abc import Hashable
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

_FLOAT = re.compile(
    r"""^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_INT = re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+)$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_OTHER = ("merge", "null", "timestamp", "value")  # the same in both versions
_PLAIN = re.compile(r"[A-Za-z0-9_ ./@:+*,-]{0,60}")
_DEEPEST = 100  # levels
_LARGEST = 4 * 2**20  # bytes of a file that people write
_REPEATED = 10_000  # values that aliases stand for, which other programs write out
_BASES = {"0b": 2, "0o": 8, "0x": 16}


class _Loader(yaml.CSafeLoader):
    """Scalars of YAML 1.2; keys that differ."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[Hashable]()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):  # PyYAML itself refuses any other
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"found duplicate key {key!r}", key_node.start_mark
                    )
                seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node).replace("_", "")
        digits = text.lstrip("+-")
        base = _BASES.get(digits[:2], 10)
        number = int(digits if base == 10 else digits[2:], base)
        return -number if text.startswith("-") else number


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag.rpartition(":")[2] in _OTHER]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOL, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_int)


class NoYaml(ValueError):
    """The text is not YAML with each key once; the message says why, in one line."""


def read_yaml(data: bytes) -> Any:
    """The plain values of a YAML document in UTF-8.

    Raises:
        NoYaml: it is none.
    """
    try:
        text = data.decode("utf-8-sig")
        _check_events(text)
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        # The parser's own text goes over several lines, with advice for programmers.
        text = " ".join((getattr(error, "problem", None) or str(error)).split())
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise NoYaml(text + place) from None


def _check_events(text: str) -> None:
    """Refuses a text that is small and means much."""
    total = repeated = 0  # values, those that aliases stand for among them
    begun: list[tuple[str | None, int]] = []  # collections: their anchor, the total before
    known: dict[str | None, int] = {}  # how many values an anchor names
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            count = known.get(event.anchor, 1)
            total, repeated = total + count, repeated + count
        elif isinstance(event, yaml.NodeEvent):
            total += 1
            known[event.anchor] = 1
            if isinstance(event, yaml.CollectionStartEvent):
                begun.append((event.anchor, total - 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            known[anchor] = total - before
        # The C loader calls itself at each level and would end the process where the stack does.
        if len(begun) > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} levels")
        if repeated > _REPEATED:
            raise ValueError(f"aliases that repeat more than {_REPEATED:,} values")


def read_yaml_file(path: Path) -> Any:
    """The same of a file that people write, of 4 MiB at most.

    Raises:
        NoYaml: it holds none, or is larger.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise NoYaml(f"a file of more than {_LARGEST >> 20} MiB")
    return read_yaml(data)


def is_plain(data: Any) -> bool:
    """Whether every program writes these values in the same way: none is quoted or folded."""
    if isinstance(data, dict):
        return all(is_plain(key) and is_plain(value) for key, value in data.items())
    if isinstance(data, list):
        return all(map(is_plain, data))
    return isinstance(data, int | float) or (
        isinstance(data, str) and _PLAIN.fullmatch(data) is not None
    )


def dump_plain(data: Any) -> str:
    """The text that ruamel.yaml writes by itself, from its faster part that calls libyaml.

    Args:
        data: plain, as `is_plain` says.
    """
    from ruamel.yaml import YAML

    writer = YAML(typ="safe")
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False
    text = StringIO()
    writer.dump(json.loads(json.dumps(data)), text)  # plain mappings in place of ordered ones
    return text.getvalue()
