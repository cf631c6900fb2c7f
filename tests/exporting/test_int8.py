"""8 bits in every format but ONNX: made of the exported file, run, close to the model, and small."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from exported_models import IMAGE_SIZE, model_of

from mobilevit import tasks
from mobilevit.exporting.export import ExportedModel
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.manifests import manifest_of
from mobilevit.exporting.views import views_of
from mobilevit.formats.graph import Graph
from mobilevit.formats.table import FORMATS, adapter
from mobilevit.quantization.table import PACKAGES, Source, choices_of
from mobilevit.quantization.variants import size_of

Exported = Callable[[str, str], ExportedModel]

CHOICES = [  # one of each format: writing them takes long; and what the file may be of the one it was made of
    ("openvino", "convolutions", 0.45),
    ("litert", "all", 0.39),
    ("executorch", "mixed", 0.45),
    ("coreml", "weights", 0.6),  # of float16
]


@pytest.fixture(scope="session")
def graph() -> Graph:
    return graph_of(model_of("classification"), tasks.get("classification"), IMAGE_SIZE)


@pytest.mark.every_size  # four minutes; ONNX in 8 bits is among the tests of `quantize`
@pytest.mark.parametrize(("name", "choice", "share"), CHOICES)
def test_is_smaller_and_says_the_same(
    name: str, choice: str, share: float, export_of: Exported, graph: Graph, photos: Path, tmp_path: Path
) -> None:
    missing = [package for package in (*FORMATS[name].packages, *PACKAGES[name]) if find_spec(package) is None]
    if missing:
        pytest.skip(f'extra "quantize" lacks {missing}')
    base = export_of("classification", name)
    images = views_of(photos, [graph.spec.preprocessing])[0].images
    path = tmp_path / f"small{FORMATS[name].suffix}"
    choices_of(name)[choice](Source(graph, base.path, torch.from_numpy(images)), path)
    assert size_of(path) < share * size_of(base.path)

    manifest = manifest_of(tasks.get("classification"), graph, name, "int8", path)
    found = adapter(name).open(path, manifest, None)(images)["probabilities"]
    with torch.no_grad():
        expected = graph.module(torch.from_numpy(images).float())[0].numpy()
    assert np.abs(found - expected).mean() < 0.02
    assert not np.array_equal(found, expected)
