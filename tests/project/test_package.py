"""The wheel and the sdist: what they hold, and that the wheel alone is enough in an empty environment."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobilevit

ROOT = Path(__file__).parents[2]
PACKAGE = Path("src/mobilevit")
VERSION = mobilevit.__version__
SHIPPED = {
    ".css",
    ".html",
    ".j2",
    ".js",
    ".py",
    ".safetensors",
    ".toml",
    ".tsv",
    ".typed",
}  # kinds of files in the wheel


def tracked() -> list[Path]:
    """The files of the project, as a fresh clone has them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


@dataclass(frozen=True)
class Built:
    """What `python -m build` made: the sdist, and the wheel from it."""

    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    clone, output = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    for path in tracked():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, clone / path)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", output, clone)
    return Built(output / f"mobilevit-{VERSION}-py3-none-any.whl", output / f"mobilevit-{VERSION}.tar.gz")


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Of this process's environment without what would lend the project's own sources."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.mark.system
def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(f"mobilevit-{VERSION}.dist-info/METADATA").decode()
        license_held = any(name.endswith("LICENSE") for name in wheel.namelist())
    package = {path for path in tracked() if path.is_relative_to(PACKAGE)}
    assert {path.suffix or path.name for path in package} - SHIPPED == set()
    assert held == {path.relative_to("src").as_posix() for path in package}
    assert license_held and "License-Expression: Apache-2.0" in metadata
    for name in ("py.typed", "weights/files/mobilevit_xxs_imagenette.safetensors", "recipes/digits.toml"):
        assert f"mobilevit/{name}" in held
    assert built.wheel.stat().st_size < 10e6


@pytest.mark.system
def test_the_sdist_holds_what_a_distributor_needs(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        held = {Path(*Path(name).parts[1:]) for name in sdist.getnames()}
    left_out = {path for path in tracked() if path not in held}
    assert {path.parts[0] for path in left_out} <= {".ci", ".github", ".gitignore", ".pre-commit-config.yaml"}
    for name in ("LICENSE", "README.md", "constraints.txt", "tests/conftest.py", "docs/data.md"):
        assert Path(name) in held


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((640, 480), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.mark.system
def test_the_wheel_predicts_in_an_empty_environment(built: Built, photo: Path, tmp_path: Path) -> None:
    """No extras: what a user has after `pip install mobilevit`."""
    programs = make_environment(tmp_path / "environment")
    run(programs / "python", "-m", "pip", "install", "-qq", "--no-compile", "-c", ROOT / "constraints.txt", built.wheel)
    run(programs / "python", "-m", "pip", "check")
    command = (programs / "mobilevit", "predict", "imagenette", photo, "--json")
    (said,) = json.loads(run(*command, cwd=tmp_path).stdout)
    (here,) = mobilevit.predict("imagenette", photo)
    assert said["source"] == str(photo)
    assert said["top"][0]["score"] == pytest.approx(here.best.score, abs=1e-4)
    environment = json.loads(run(programs / "mobilevit", "info", "--environment", "--json", cwd=tmp_path).stdout)
    assert environment["mobilevit"] == VERSION and None not in environment["packages"].values()
    assert environment["extras"]["export"]["onnxruntime"] is None


def make_environment(folder: Path) -> Path:
    """An environment with pip alone; the folder of its programs."""
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    return folder / ("Scripts" if os.name == "nt" else "bin")
