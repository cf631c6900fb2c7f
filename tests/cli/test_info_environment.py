"""`mobilevit info --environment`: what a report of a bug needs, also where torch is what is broken."""

import json
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

import mobilevit
from mobilevit.cli import main
from mobilevit.environment import Environment, environment
from mobilevit.runtimes import this_machine
from mobilevit.text import words_of

Capture = pytest.CaptureFixture[str]
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_for_people(capsys: Capture) -> None:
    assert main(["info", "--environment"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.strip())
    assert said["mobilevit"] == mobilevit.__version__
    assert sys.version.split()[0] in said["Python"]
    assert said["torch"].startswith(torch.__version__)
    assert this_machine()["processor"] in said["processor"]
    assert f"numpy {numpy.__version__}" in said["packages"]


def test_for_machines(capsys: Capture) -> None:
    assert main(["info", "--environment", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == [field.name for field in fields(Environment)]
    assert found["torch"]["threads"] == torch.get_num_threads() and found["torch"]["error"] is None
    assert 1 <= found["available_cpu_count"] <= found["cpu_count"]


def test_versions_are_those_installed() -> None:
    found = environment()
    assert {"torch", "numpy", "pillow"} <= found.packages.keys()
    assert {"dev", "export"} <= found.extras.keys() <= set(PROJECT["optional-dependencies"]) - {"all"}
    for packages in (found.packages, *found.extras.values()):
        assert packages
        assert packages == {name: installed(name) for name in packages}


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def test_it_is_about_no_model(capsys: Capture) -> None:
    assert main(["info", "mobilevit_xs", "--environment"]) == 2
    assert "mobilevit_xs" in capsys.readouterr().err


def test_no_extra_is_imported() -> None:
    found = in_a_process("", "print(json.dumps(sorted(sys.modules)), file=sys.stderr)")
    modules = set(json.loads(found.stderr))
    assert "torch" in modules
    assert modules & {"onnx", "onnxruntime", "openvino", "kornia", "sklearn", "av", "coremltools"} == set()


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'torch'"),
        OSError("libtorch_cpu.so:\ncannot open shared object file"),
        RuntimeError(),
    ],
    ids=repr,
)
def test_torch_that_cannot_be_imported_is_what_it_is_about(error: Exception, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(f"raise {error!r}")
    found = in_a_process(f"sys.path.insert(0, {str(tmp_path)!r})")
    told: dict[str, Any] = json.loads(found.stdout)["torch"]
    assert found.returncode == 0
    assert told["error"] == f"cannot be imported: {words_of(error)}" and told["threads"] is None


def in_a_process(before: str, after: str = "") -> subprocess.CompletedProcess[str]:
    command = "code = main(['info', '--environment', '--json'])"
    program = "\n".join(
        ["import json, sys", before, "from mobilevit.cli import main", command, after, "sys.exit(code)"]
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
