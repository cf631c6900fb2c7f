"""A dataset packed into one small file is the same dataset."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "pack_images.py"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Smooth images of several sizes, one in gray, two whose names differ in their suffix alone."""
    sizes = {
        "train/cat/a.jpg": (90, 60),
        "train/cat/a.png": (40, 80),
        "train/dog/b.jpg": (64, 64),
        "val/dog/c.png": (20, 30),
    }
    for name, (width, height) in sizes.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ramp = np.linspace(0, 255, width)[None, :, None] * np.linspace(0.2, 1, height)[:, None, None]
        image = Image.fromarray((ramp * np.array([1.0, 0.8, 0.5])).astype(np.uint8))
        (image.convert("L") if name.endswith("b.jpg") else image).save(path)
    return tmp_path / "images"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """The program as a module, which needs no process of its own."""
    spec = spec_from_file_location("pack_images", SCRIPT)
    assert spec is not None and spec.loader is not None
    sys.modules["pack_images"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pack_images"]


def test_the_same_images_smaller(
    script: ModuleType, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.main(script.Options(dataset, tmp_path / "new" / "packed.zip", short_side_px=32))
    assert "4 images" in capsys.readouterr().out
    with ZipFile(tmp_path / "new" / "packed.zip") as archive:
        archive.extractall(tmp_path / "packed")
    before, after = (class_folders.read(folder, ReadOptions()) for folder in (dataset, tmp_path / "packed"))
    assert after.classes == before.classes
    for split, samples in before.splits.items():
        assert [sample.target for sample in after.splits[split]] == [sample.target for sample in samples]
        for small, sample in zip(after.splits[split], samples, strict=True):
            assert small.path.name == f"{sample.path.name}.webp"
            found, original = Image.open(small.path), Image.open(sample.path).convert("RGB")
            assert min(found.size) == min(32, *original.size)
            expected = original.resize(found.size, Image.Resampling.BILINEAR)
            assert np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean() < 4


def test_the_same_bytes_again(script: ModuleType, dataset: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        script.pack(script.Options(dataset, tmp_path / name))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_broken_image_is_named_and_nothing_written(dataset: Path, tmp_path: Path) -> None:
    (dataset / "train" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    command = [sys.executable, SCRIPT, dataset, tmp_path / "packed.zip", "--quality", "50"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
