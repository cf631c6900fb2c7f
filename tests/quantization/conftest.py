"""A small dataset whose classes are what the packaged classifier says of its images."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mobilevit import tasks
from mobilevit.exporting.folding import graph_of
from mobilevit.formats.graph import Graph
from mobilevit.inference import Predictor
from mobilevit.quantization import quantize
from mobilevit.spec import at_size
from mobilevit.weights import model_file
from mobilevit.weights.creating import load, spec_of

IMAGE_SIZE = 64
COUNTS = {"train": 48, "val": 24}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged classifier for small images."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    loaded = load("imagenette")
    model_file.save(path, loaded.state_dict(), at_size(spec_of(loaded), IMAGE_SIZE))
    return path


@pytest.fixture(scope="session")
def graph(model: Path) -> Graph:
    return graph_of(load(model), tasks.get("classification"))


@pytest.fixture(autouse=True)
def one_graph(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes ten seconds; one graph is exported once."""
    monkeypatch.setattr(quantize, "graph_of", lambda *_: graph)


@pytest.fixture(scope="session")
def images(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train/<class>/ and val/<class>/, of which the model gets every image right."""
    folder = tmp_path_factory.mktemp("images")
    loaded = Predictor(model)
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for label in loaded.spec.classes:
            (folder / split / label.id).mkdir(parents=True)
        for number in range(count):
            pixels = clouds(rng)
            (prediction,) = loaded(pixels)
            Image.fromarray(pixels).save(folder / split / prediction.best.class_id / f"{number:02}.png")
        for label in loaded.spec.classes:
            if not any((folder / split / label.id).iterdir()):
                (folder / split / label.id).rmdir()
    return folder


def clouds(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(72, 72, 3): colors in patches, coarse or fine."""
    side = int(rng.integers(3, 24))
    small = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    return np.asarray(small.resize((72, 72), Image.Resampling.BICUBIC))
