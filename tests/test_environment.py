"""The tested set of versions: complete, exact, and without contradictions."""

import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def pinned() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    pairs = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in pairs), "every line is NAME==VERSION"
    return {normal(name): version for name, version in pairs}


def test_nothing_contradicts() -> None:
    found = {normal(package.metadata["Name"]): package.version.split("+")[0] for package in distributions()}
    foreign = [name for name in found if name not in {*pinned(), "mobilevit", "pip", "setuptools", "wheel"}]
    if foreign:
        pytest.skip(f"not the environment of `make test`: it has {', '.join(sorted(foreign)[:5])} as well")
    assert {name: version for name, version in found.items() if name in pinned()}.items() <= pinned().items()
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout


def test_every_direct_dependency_is_pinned() -> None:
    project = tomllib.loads((CONSTRAINTS.parent / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    direct = {normal(line.split(">=")[0]) for line in [*project["dependencies"], *extras] if "[" not in line}
    assert direct <= pinned().keys()
