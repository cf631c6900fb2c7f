"""One ONNX file for images of several sizes: compared at each, run at each, refused at any other."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import TASKS, model_of
from torch import Tensor, nn

from mobilevit import tasks
from mobilevit.benchmarking.benchmark import benchmark
from mobilevit.cli import main
from mobilevit.cli.export import _rows
from mobilevit.errors import ParityError, UsageError
from mobilevit.exporting import export as exporting
from mobilevit.exporting import parity
from mobilevit.exporting.export import ExportedModel, export
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.views import ENOUGH, views_of
from mobilevit.formats.manifest import manifest_path, read_manifest
from mobilevit.inference import Predictor

pytest.importorskip("onnxruntime", reason='needs the extra "export"')
pytest.importorskip("onnxscript", reason='needs the extra "export"')

OWN_PX, SIZES_PX = 128, (64, 128, 192)  # at 64 px the last maps of a detector are of one pixel

# An export takes its time: in `make test` that of the detector, whose anchors depend on the size.
EACH = [task if task == "detection" else pytest.param(task, marks=pytest.mark.every_size) for task in TASKS]

Several = Callable[[str], ExportedModel]


@pytest.fixture(scope="session")
def several(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Several:
    """The file of a task, compared on the images at all sizes."""
    folder = tmp_path_factory.mktemp("several")

    @cache
    def made(task: str) -> ExportedModel:
        model, output = model_of(task), folder / task
        (exported,) = export(model, verify=photos, output=output, image_size=OWN_PX, image_sizes=SIZES_PX)
        return exported

    return made


@pytest.mark.parametrize("task", EACH)
def test_gives_the_models_answers_at_each(task: str, several: Several) -> None:
    exported = several(task)
    assert [*exported.parities] == [128, 64, 192]
    assert exported.parity is exported.parities[OWN_PX]
    for found in exported.parities.values():
        assert parity.faults(found, "fp32") == []
        assert (found.images, found.generated) == (ENOUGH, 0)
    recorded = json.loads(manifest_path(exported.path).read_text())["parity"]
    assert recorded["agreement"] == exported.parities[128].agreement
    assert {side: one["agreement"] for side, one in recorded["further_px"].items()} == {
        str(side): exported.parities[side].agreement for side in (64, 192)
    }


@pytest.mark.parametrize("image_size", SIZES_PX)
@pytest.mark.parametrize("task", EACH)
def test_the_predictor_runs_it_at_each(task: str, image_size: int, several: Several, photos: Path) -> None:
    """A detector's anchors follow the size, and a segmenter's map."""
    mine = Predictor(several(task).path, image_size=None if image_size == OWN_PX else image_size)
    theirs = Predictor(model_of(task), image_size=image_size)
    assert mine.spec == theirs.spec
    seen = views_of(photos, [mine.spec.preprocessing])[0].images[:5]
    assert seen.shape == (5, 3, image_size, image_size)
    outputs, expected = mine.runner(seen), theirs.runner(seen)
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert outputs[name].shape == values.shape
        if values.dtype == np.float32:
            np.testing.assert_allclose(outputs[name], values, rtol=0, atol=1e-4)
        else:
            assert (outputs[name] == values).mean() > 0.999


def test_the_manifest_says_which(several: Several) -> None:
    manifest = read_manifest(several("detection").path)
    assert manifest == several("detection").manifest
    assert manifest.image_sizes == (128, 64, 192)
    assert [port.shape for port in manifest.inputs] == [("batch", 3, "by size", "by size")]
    assert [port.shape for port in manifest.outputs] == [("batch", "by size", 4), ("batch", "by size", 3)]
    resize = manifest.preprocessing[-1]
    assert (resize.step, resize.parameters["width"]) == ("resize", 128)
    assert resize.description.endswith("The model also takes squares of 64 or 192 px.")


@pytest.mark.every_size
def test_a_file_that_is_right_at_its_own_size_alone_is_not_kept(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(model_of("classification"), tasks.get("classification"), OWN_PX, SIZES_PX)

    class RightAtOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.whole = graph.module.model, graph.module

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            return self.whole(images * (images.shape[2] / OWN_PX))  # type: ignore[no-any-return]

    monkeypatch.setattr(exporting, "graph_of", lambda *_: replace(graph, module=RightAtOne()))
    said = r"probabilities differ .* That is at 64 px\. Exported by themselves, all parts"
    with pytest.raises(ParityError, match=said):
        export(model_of("classification"), verify=photos, output=tmp_path, image_size=OWN_PX, image_sizes=SIZES_PX)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("formats", "options", "message"),
    [
        (["onnx", "openvino"], {}, "a file of openvino has one size: several are for onnx"),
        (["onnx"], {"verify": ()}, "give images to --verify"),
        (["onnx"], {"image_sizes": [96, 192]}, r"takes several sizes where all are multiples of 64 px, not 96: else"),
        (["onnx"], {"image_size": 160}, "multiples of 64 px, not 160"),
        (["onnx"], {"image_sizes": [0]}, "`image_size` is 0: it must be between 32"),
    ],
)
def test_what_cannot_be_meant(
    formats: list[str], options: dict[str, Any], message: str, photos: Path, tmp_path: Path
) -> None:
    wanted = {"verify": photos, "image_size": OWN_PX, "image_sizes": SIZES_PX, "output": tmp_path} | options
    with pytest.raises(UsageError, match=message):
        export(model_of("classification"), formats, **wanted)
    assert list(tmp_path.iterdir()) == []


def test_the_commands(several: Several, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default size, one of the others, and one that was not promised."""
    made = several("detection").path
    image = str(photos / "00.png")
    assert main(["predict", str(made), image]) == 0
    assert main(["predict", str(made), image, "--image-size", "192"]) == 0
    capsys.readouterr()
    for verb, *more in (["predict", image], ["evaluate", str(tmp_path)], ["benchmark"]):
        subject = ["imagenette", str(made)] if verb == "benchmark" else [str(made), *more]
        assert main([verb, *subject, "--image-size", "256"]) == 2
        said = f"error: {made.name} takes images of 64, 128, 192 px, not of 256: no other was exported\n"
        assert capsys.readouterr().err == said
    assert main(["export", "imagenette", "--image-sizes", "64;128"]) == 2
    assert "--image-sizes is '64;128': expected comma-separated integers" in capsys.readouterr().err


def test_each_size_has_its_row(several: Several) -> None:
    rows = [*_rows(several("detection"))]
    assert [(row["px"], row["same objects"]) for row in rows] == [
        ("128", "100.0%"),
        ("64", "100.0%"),
        ("192", "100.0%"),
    ]


def test_it_is_timed_at_any_of_its_sizes(several: Several) -> None:
    found = benchmark("imagenette", [several("detection").path], threads=[1], runs=1, batch_sizes=[1], image_size=64)
    assert (found.image_size, len(found.rows)) == (64, 2)
