"""graft reads YAML as DVC does, which uses ruamel.yaml."""

from io import StringIO
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from graft.integrity.yaml12 import NoYaml, read_yaml
from graft.scheduling.dvc_calls import dump_lock
from images import ROOT

SCALARS = st.text("0123456789+-._:eExXobaftrulnNyYsS~=<% ", min_size=1, max_size=9)


def as_dvc(text: str) -> Any:
    try:
        return YAML(typ="safe").load(text)
    except (YAMLError, ValueError, NotImplementedError):
        return NoYaml


def as_graft(text: str) -> Any:
    try:
        return read_yaml(text.encode())
    except NoYaml:
        return NoYaml


@pytest.mark.parametrize("name", ["dvc.yaml", "dvc.lock", "params.yaml", "environment.yml"])
def test_the_files_of_the_project_are_read_alike(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert as_graft(text) == as_dvc(text)


KNOWN = ["1e-3", "1.e3", "+.5", "-.inf", "010", "0o17", "0x1F", "-0b11", "1_000", "1:30", "off"]
KNOWN += ["Yes", "TRUE", "~", "2001-12-14"]


@given(st.lists(SCALARS, min_size=1, max_size=9))
@example(KNOWN)
def test_a_scalar_means_the_same(scalars: list[str]) -> None:
    for scalar in scalars:
        graft, dvc = as_graft(f"key: {scalar}\n"), as_dvc(f"key: {scalar}\n")
        assert repr(graft) == repr(dvc), scalar


@given(st.recursive(SCALARS | st.integers() | st.booleans(), st.lists, max_leaves=8))
def test_what_ruamel_writes_is_read(value: Any) -> None:
    out = StringIO()
    YAML(typ="safe").dump({"key": value}, out)
    assert as_graft(out.getvalue()) == {"key": value}


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: {b: 1, b: 2}\n", "1: 1\n1: 2\n"])
def test_a_key_occurs_once(text: str) -> None:
    assert as_graft(text) is as_dvc(text) is NoYaml


PLAIN = st.from_regex(r"[A-Za-z0-9_ ./@:+*,-]{0,60}", fullmatch=True)
LEAVES = st.booleans() | st.integers() | st.floats() | PLAIN
TREES = st.dictionaries(
    PLAIN,
    st.recursive(
        LEAVES | st.none() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
        max_leaves=12,
    ),
)


@settings(deadline=None)
@given(TREES | st.dictionaries(PLAIN, st.lists(LEAVES | st.dictionaries(PLAIN, LEAVES))))
def test_dvc_lock_is_written_as_dvc_writes_it(data: dict[str, Any]) -> None:
    assert dump_lock(data) == dumps_yaml(data)
