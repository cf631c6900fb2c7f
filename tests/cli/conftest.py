"""A network that knows two classes and nothing else, and a few pictures: enough for every command to run for real."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mobilevit.spec import Preprocessing, labels
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, spec_of


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = create("mobilevit_xxs", classes=labels(["[bold]cat", "dog"]))  # a name that rich would take for markup
    spec = replace(spec_of(network), preprocessing=Preprocessing(size_px=32, resize_px=36))
    path = tmp_path_factory.mktemp("model") / "pets.safetensors"
    model_file.save(path, network.state_dict(), spec)
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train and val, four pictures a class each, of 40 x 32 pixels."""
    root = tmp_path_factory.mktemp("pets")
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in ("[bold]cat", "dog"):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (32, 40, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture
def pictures(data: Path) -> list[str]:
    return [str(path) for path in sorted((data / "val").rglob("*.png"))]


@pytest.fixture
def broken(tmp_path: Path) -> str:
    path = tmp_path / "broken.jpg"
    path.write_text("no picture")
    return str(path)


@pytest.fixture(autouse=True)
def fresh_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """tyro 0.9 remembers the unknown flags of earlier calls in the same process and reports them again."""
    monkeypatch.setattr("tyro._argparse_formatter.global_unrecognized_arg_and_prog", [], raising=False)
