"""What is installed, and what the repository may hold, said the same everywhere."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from graft.exporting.formats import FORMATS
from graft.integrity.ground import flatten
from graft.project.parameters import read_parameters
from graft.project.recipes import DEFAULTS
from images import ROOT, call
from sources import closure, normal, third_party

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
CONDA = YAML(typ="safe").load((ROOT / "environment.yml").read_text(encoding="utf-8"))
# What others import where it is installed.
PLUGINS = {"dvc-s3", "ruamel-yaml-clib", "snakemake-executor-plugin-slurm"}


# Of which any release of a range will do; uv.lock has one.
ENGINES = {"dvc", "snakemake", "snakemake-interface-logger-plugins"}


def pins(requirements: list[str]) -> dict[str, str]:
    """What is asked for by name: `==version`, of the engines `>=version,<version`."""
    found = {}
    for requirement in requirements:
        match = re.fullmatch(r"([\w.-]+?)(?:\[[\w-]+\])?([=><].*)", requirement)
        name, wanted = normal(match[1]), match[2]
        form = r">=[\d.]+,<[\d.]+" if name in ENGINES else r"==\d[\w.]*"
        assert re.fullmatch(form, wanted), f"{requirement} is not pinned"
        found[name] = wanted
    assert len(found) == len(requirements)
    return found


def release(version: str) -> list[int]:
    """The numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", version)]


DEPENDENCIES = pins(PROJECT["project"]["dependencies"])
DEV = pins(PROJECT["dependency-groups"]["dev"])
BROWSER = pins(PROJECT["dependency-groups"]["browser"])
EXTRAS = {extra: pins(own) for extra, own in PROJECT["project"]["optional-dependencies"].items()}
OPTIONAL = {name: version for extra in EXTRAS.values() for name, version in extra.items()}


def test_conda_installs_the_same_versions() -> None:
    *plain, pip = CONDA["dependencies"]
    assert pins(pip["pip"]) == DEPENDENCIES
    assert sorted(name.partition("=")[0] for name in plain) == ["pip", "python"]
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]
    assert CONDA["name"] == PROJECT["project"]["name"]


def test_conda_has_a_python_that_the_project_takes() -> None:
    (python,) = (name for name in CONDA["dependencies"] if str(name).startswith("python="))
    version = [int(part) for part in python.partition("=")[2].split(".")]
    low, high = re.match(r">=([\d.]+),<([\d.]+)", PROJECT["project"]["requires-python"]).groups()
    assert [int(p) for p in low.split(".")] <= version < [int(p) for p in high.split(".")]


def test_the_lock_has_the_same_versions() -> None:
    locked: dict[str, set[str]] = {}
    for package in LOCK["package"]:
        locked.setdefault(package["name"], set()).add(package["version"])
    pinned = DEPENDENCIES | DEV | BROWSER | OPTIONAL
    for name, wanted in pinned.items():
        (version,) = locked[name]
        if name in ENGINES:
            low, high = (release(bound) for bound in wanted.split(","))
            assert low <= release(version) < high, name
        else:
            assert wanted == f"=={version}"


def test_the_lock_was_made_from_this_project() -> None:
    (own,) = (p for p in LOCK["package"] if p["name"] == PROJECT["project"]["name"])
    assert own["version"] == PROJECT["project"]["version"]
    wanted = {
        (entry["name"], entry.get("marker", "")): entry["specifier"]
        for entry in own["metadata"]["requires-dist"]
    }
    extras = {
        (name, f"extra == '{extra}'"): version
        for extra, names in EXTRAS.items()
        for name, version in names.items()
    }
    plain = {(name, ""): version for name, version in DEPENDENCIES.items()}
    assert wanted == plain | extras
    wanted = {entry["name"]: entry["specifier"] for entry in own["metadata"]["requires-dev"]["dev"]}
    assert wanted == DEV


def test_the_lock_names_no_index_but_the_public_one() -> None:
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    hosts = set(re.findall(r"\w+://([^/\"]+)", text))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_what_is_imported_is_declared_and_the_reverse() -> None:
    imported = set().union(*map(third_party, (ROOT / "workflow").rglob("*.py")))
    assert imported == set(DEPENDENCIES | OPTIONAL) - PLUGINS
    assert DEPENDENCIES.keys() & OPTIONAL == {"tensorflow"}  # of the extra gpu, with its libraries


def test_what_is_optional_is_imported_where_it_is_needed() -> None:
    """Not at the start of a module, but in the room of the server, which one function imports."""
    for path in (ROOT / "workflow/graft").rglob("*.py"):
        if path.parent.name != "serving":
            found = third_party(path, later=False)
            assert not found & (OPTIONAL.keys() - DEPENDENCIES), path
    started = closure("graft.tools.open", later=False)
    assert not [name for name in started if name.startswith("graft.serving")]


def test_what_an_export_needs_is_in_its_extra() -> None:
    for kind in FORMATS.values():
        for modules in kind.needs.values():
            assert set(map(normal, modules)) <= set(EXTRAS[kind.extra])
    assert {kind.extra for kind in FORMATS.values()} - {""} == set(EXTRAS) - {
        "gpu",
        "hub",
        "open",
        "slurm",
        "s3",
    }


def test_what_tests_import_is_declared() -> None:
    imported = set().union(*map(third_party, (ROOT / "tests").rglob("*.py")))
    assert imported <= set(DEPENDENCIES | DEV | BROWSER | OPTIONAL)


def test_dvc_keeps_to_itself_and_copies() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".dvc/config", encoding="utf-8")
    assert config["core"]["analytics"] == "false"
    assert config["core"]["check_update"] == "false"
    # Hard links make files read-only, and Snakemake refuses to write over them.
    assert config["cache"]["type"].strip('"') == "reflink,copy"


def test_no_key_is_one_that_dvc_overlooks() -> None:
    # DVC's run cache ignores keys of these names, and would restore wrong results.
    keys = {part for key in flatten(read_parameters(DEFAULTS)) for part in key.split(".")}
    assert not keys & {"size", "nfiles"}


def test_no_folder_of_code_is_hashed_with_its_compiled_files() -> None:
    ignored = (ROOT / ".dvcignore").read_text(encoding="utf-8").splitlines()
    assert {"workflow/**/__pycache__/", "data/**/.gitignore", ".part-*"} <= set(ignored)


def tracked() -> list[Path]:
    """The files that git knows."""
    listed = call("git", "ls-files", "-z", cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_folder_of_one_machine() -> None:
    places = re.compile(rb"(?<![\w.~*-])/(?:work|root|tmp|home|Users)\b(?!\.)")
    found = {}
    for path in tracked():
        data = path.read_bytes()
        # In .gitignore a leading slash is the folder of that file.
        if path.name == ".gitignore" or b"\0" in data:
            continue
        if match := places.search(data):
            line = data.count(b"\n", 0, match.start()) + 1
            found[str(path.relative_to(ROOT))] = f"line {line}: {match[0].decode()}"
    assert not found
