"""benchmarks/gpu.py in its shortest form: all parts on a CPU, with no library that a bare machine may lack."""

import importlib
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"

# All that a bare machine has, beside what these need themselves: benchmarks/gpu.md. timm and torchvision are not asked
# for here, since they are left out where they are missing.
THERE = (
    "filelock", "huggingface-hub", "matplotlib", "numpy", "pillow", "pyyaml", "rich", "safetensors", "torch",
)  # fmt: skip


def absent() -> list[str]:
    """Modules of all other packages of this environment."""
    known, waiting = set[str](), list(THERE)
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            waiting += [normal(needed.name) for needed in _needs(name)]
    providers = metadata.packages_distributions()
    return sorted(module for module, names in providers.items() if known.isdisjoint(map(normal, names)))


def _needs(name: str) -> Iterator[Requirement]:
    """What is installed with a package; nothing where the package is not there, such as one for another system."""
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


BLOCKER = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec

def found(name, path=None, target=None):
    return None if name.partition(".")[0] in ABSENT else find_spec(name, path, target)

PathFinder.find_spec = found
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of processes in which those libraries cannot be imported."""
    folder = tmp_path_factory.mktemp("bare")
    modules = set(absent()) - {"mobilevit"}
    assert {"tyro", "pytest"} <= modules
    (folder / "sitecustomize.py").write_text(f"ABSENT = {modules}\n{BLOCKER}")
    return {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and light noise."""
    root, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for name, low in (("dark", 0), ("light", 128)):
            folder = root / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.fromarray(rng.integers(low, low + 128, (40, 40, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return root


# All parts in one process, which imports torch once.
IN_ONE_PROCESS = """
import sys
from importlib import import_module

import gpu
from gpu_parts.session import Session

def process(run, part, ends_at_s):
    session = Session(part, gpu._settings(run, ends_at_s))
    session.run(import_module(f"gpu_parts.{part}").checks(session.sizes))
    return 0

gpu._process = process
sys.exit(gpu.main(sys.argv[1:]))
"""
Arguments = list[str | Path]


@pytest.mark.system
def test_the_shortest_form(bare: dict[str, str], dataset: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(SCRIPT.parent), str(ROOT / "src"), bare["PYTHONPATH"]])
    arguments: Arguments = ["--sizes", "least", "--data", dataset]
    assert_complete([sys.executable, "-c", IN_ONE_PROCESS], {**bare, "PYTHONPATH": paths}, arguments, tmp_path)


@pytest.mark.every_size
def test_the_rehearsal(bare: dict[str, str], tmp_path: Path) -> None:
    """Each part in its process, with a dataset of the script's own making; compiled models too."""
    assert_complete([sys.executable, str(SCRIPT)], bare, ["--sizes", "small"], tmp_path)


def assert_complete(command: list[str], environment: dict[str, str], arguments: Arguments, output: Path) -> None:
    always: Arguments = ["--device", "cpu", "--minutes", "60", "--epochs", "1", "--output", output]
    done = subprocess.run([*command, *always, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + (output / "log.txt").read_text()
    found: dict[str, Any] = json.loads((output / "results.json").read_text())
    assert {part: values["status"] for part, values in found["parts"].items()} == dict.fromkeys(
        ("preflight", "correct", "fast", "learns"), "done"
    )
    statuses = {entry["name"]: entry["status"] for entry in found["checks"]}
    assert set(statuses.values()) == {"passed", "needs CUDA"}
    assert statuses["NCCL, a group of one"] == "needs CUDA"
    assert found["facts"]["versions"]["timm"].startswith("missing")
    assert [name for name in statuses if name not in done.stdout] == [], "the table has every check"
    assert {path.name for path in output.iterdir()} == {"results.json", "results.md", "log.txt", "run.tar.gz"}
    with tarfile.open(output / "run.tar.gz") as archive:
        names = archive.getnames()
    assert {"run/config.json", "run/metrics.csv", "run/report.html", "run/last-half.safetensors"} <= set(names)
    assert [name for name in names if "checkpoint" in name] == []


UNRULY = """
import os, time
from gpu_parts.session import Check

def checks(_):
    def measures(session, figures): figures.at_most("size", 2.0, 1.0)
    def raises(session, figures): raise ValueError("no such thing")
    def breaks_off(session, figures): os.abort()
    def hangs(session, figures): time.sleep(600)
    def works(session, figures): figures["value"] = 1
    return [
        *(Check(run.__name__, run) for run in (measures, raises, breaks_off)), Check("hangs", hangs, seconds=0.5),
        Check("needs", works, needs_cuda=True), Check("works", works),
    ]
"""


@pytest.mark.system
def test_a_check_that_fails_hangs_or_breaks_off_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unruly").mkdir()
    (tmp_path / "unruly" / "correct.py").write_text(UNRULY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(SCRIPT.parent)
    gpu = importlib.import_module("gpu")
    options = gpu._options(["--device", "cpu", "--sizes", "full", "--output", str(tmp_path)])
    with (tmp_path / "log.txt").open("w") as log:
        trial = gpu.Run(options, tmp_path, log, time.time(), package="unruly")
        assert gpu._run_part(trial, "correct", 600.0) == "done"
    found = {entry["name"]: entry for entry in trial.results.read()["checks"]}
    assert {name: entry["status"] for name, entry in found.items()} == {
        "measures": "failed", "raises": "failed", "breaks_off": "failed", "hangs": "failed", "needs": "needs CUDA",
        "works": "passed",
    }  # fmt: skip
    assert found["measures"]["figures"] == {"size": 2.0}
    assert "no such thing" in found["raises"]["note"]
    assert "log.txt" in found["hangs"]["note"]
    assert "in hangs" in (tmp_path / "log.txt").read_text(), "where it hung is in the log"


def test_data_that_is_no_dataset_ends_it_at_once(bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("no image")
    command = [sys.executable, SCRIPT, "--device", "cpu", "--data", tmp_path / "data", "--output", tmp_path / "output"]
    done = subprocess.run(command, env=bare, capture_output=True, text=True)
    assert done.returncode != 0
    found = json.loads((tmp_path / "output" / "results.json").read_text())
    assert list(found["parts"]) == ["preflight"]
    assert "DataError" in done.stdout
