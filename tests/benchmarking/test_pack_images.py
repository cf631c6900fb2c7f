"""A dataset packed into one small file is the same dataset."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from mobilevit.tasks.base import ReadOptions
from mobilevit.tasks.classification import reader

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


def pack(data: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, data, output, *options], capture_output=True, text=True)


def test_the_same_images_smaller(dataset: Path, tmp_path: Path) -> None:
    done = pack(dataset, tmp_path / "new" / "packed.zip", "--short-side-px", "32")
    assert done.returncode == 0, done.stderr
    assert "4 images" in done.stdout
    with ZipFile(tmp_path / "new" / "packed.zip") as archive:
        archive.extractall(tmp_path / "packed")
    before, after = (reader.read(folder, ReadOptions()) for folder in (dataset, tmp_path / "packed"))
    assert after.classes == before.classes
    for split, samples in before.splits.items():
        assert [sample.target for sample in after.splits[split]] == [sample.target for sample in samples]
        for small, sample in zip(after.splits[split], samples, strict=True):
            assert small.path.name == f"{sample.path.name}.webp"
            found, original = Image.open(small.path), Image.open(sample.path).convert("RGB")
            assert min(found.size) == min(32, *original.size)
            expected = original.resize(found.size, Image.Resampling.BILINEAR)
            assert np.abs(np.asarray(found, float) - np.asarray(expected, float)).mean() < 4


def test_the_same_bytes_again(dataset: Path, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        assert pack(dataset, tmp_path / name).returncode == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_broken_image_is_named_and_nothing_written(dataset: Path, tmp_path: Path) -> None:
    (dataset / "train" / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    done = pack(dataset, tmp_path / "packed.zip")
    assert done.returncode == 1
    assert "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
