"""A model that knows two classes and nothing else, and a few images: enough for every command to run for real."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import bad_input
import numpy as np
import pytest
import torch
from PIL import Image

from mobilevit.spec import Preprocessing, labels
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, spec_of

NAMES = ("[bold]cat", "dog")  # one that rich would take for markup


def write_model(path: Path, names: Sequence[str], architecture: str = "mobilevit_xxs") -> Path:
    """A model of these classes for images of 32 px, as it is before any training."""
    torch.manual_seed(0)
    model = create(architecture, classes=labels(names))
    spec = replace(spec_of(model), preprocessing=Preprocessing(image_size=32, resize_px=36))
    model_file.save(path, model.state_dict(), spec)
    return path


def write_data(root: Path, names: Sequence[str]) -> Path:
    """train and val, four images a class each, of 40 x 32 pixels."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (32, 40, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "pets.safetensors", NAMES)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    """The model file of an architecture."""
    return lambda architecture: write_model(tmp_path / "pets.safetensors", NAMES, architecture)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("pets"), NAMES)


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that docs/bad-input.md names."""
    return write_bad(tmp_path_factory.mktemp("bad"))


def write_bad(root: Path) -> Path:
    """One file or folder for everything that can be wrong."""
    write_model(root / "pets.safetensors", ("cat", "dog"))
    write_data(root / "pets", ("cat", "dog"))
    bad_input.write_images(root)
    bad_input.write_datasets(root)
    bad_input.write_boxes(root)
    bad_input.write_masks(root)
    bad_input.write_models(root)
    return root


@pytest.fixture
def images(data: Path) -> list[str]:
    return [str(path) for path in sorted((data / "val").rglob("*.png"))]


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.jpg"
    path.write_text("no image")
    return str(path)


@pytest.fixture(autouse=True)
def fresh_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """tyro 0.9 remembers the unknown flags of earlier calls in the same process and reports them again."""
    monkeypatch.setattr("tyro._argparse_formatter.global_unrecognized_arg_and_prog", [], raising=False)
