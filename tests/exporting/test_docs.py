"""The pages for app developers agree with a fresh manifest; the Python of docs/python.md runs and finds the same."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import TASKS

from mobilevit import tasks
from mobilevit.exporting.export import ExportedModel
from mobilevit.formats.manifest import manifest_path
from mobilevit.inference import Predictor
from mobilevit.weights.creating import create, spec_of

DOCS = Path(__file__).parents[2] / "docs"

Exported = Callable[[str, str], ExportedModel]


def code(page: str, language: str) -> dict[str, str]:
    """The code of a page by the heading that it stands under."""
    found: dict[str, str] = {}
    for part in (DOCS / page).read_text().split("\n## ")[0:]:
        heading, _, body = part.partition("\n")
        found[heading.strip("# ")] = "\n".join(re.findall(rf"```{language}\n(.*?)```", body, re.DOTALL))
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_python_page_finds_what_the_predictor_finds(
    task: str, export_of: Exported, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason='needs the extra "export"')
    exported = export_of(task, "onnx")
    shutil.copy(exported.path, tmp_path / "model.onnx")
    shutil.copy(manifest_path(exported.path), tmp_path / "model.onnx.json")
    image = next(path for path in sorted(photos.iterdir()))
    shutil.copy(image, tmp_path / "photo.jpg")  # a PNG by what it is
    monkeypatch.chdir(tmp_path)
    page = code("python.md", "python")
    space: dict[str, Any] = {}
    for heading in page:
        if heading.startswith("An exported file") or heading.lower() == task:
            exec(page[heading], space)
    (ours,) = Predictor(exported.path)(image)
    if task == "classification":
        assert space["names"][space["probabilities"].argmax()] == ours.best.class_name
        assert space["probabilities"].max() == pytest.approx(ours.best.score, abs=0.02)
    elif task == "segmentation":
        assert np.asarray(space["mask"]).shape == ours.classes.shape
        assert (np.asarray(space["mask"]) == ours.classes).mean() > 0.97
    else:
        raw = Predictor(exported.path, score_threshold=0.05)(image)[0]
        thresholds = space["manifest"]["thresholds"] | {"score_threshold": 0.05}
        found = space["objects"](space["outputs"]["boxes"][0], space["outputs"]["scores"][0], *raw.size, **thresholds)
        assert len(found) == len(raw.objects) > 0
        for (score, label, box), expected in zip(found, raw.objects, strict=True):
            assert space["names"][label] == expected.class_name
            assert score == pytest.approx(expected.score, abs=1e-3)
            assert box == pytest.approx(expected.box_xyxy, abs=0.5)


@pytest.mark.parametrize(("page", "language", "point"), [("ios.md", "swift", ""), ("android.md", "kotlin", "f")])
def test_numbers_and_names_are_those_of_a_manifest(page: str, language: str, point: str) -> None:
    everything = "\n".join(code(page, language).values())
    text = (DOCS / page).read_text()
    preprocessing = spec_of(create("mobilevit_xxs")).preprocessing
    assert f"sizePx: {'CGFloat' if language == 'swift' else 'Int'} = {preprocessing.image_size}" in everything
    assert f"resizePx: {'CGFloat' if language == 'swift' else 'Int'} = {preprocessing.resize_px}" in everything
    thresholds = tasks.get("detection").interface.thresholds
    for name, value in (
        ("preNmsTopK: Int", f"{thresholds['pre_nms_top_k']:g}"),
        ("iouThreshold: Float", f"{thresholds['iou_threshold']:g}{point}"),
        ("maxDetections: Int", f"{thresholds['max_detections']:g}"),
    ):
        assert re.search(rf"{name} = {re.escape(value)}[,)]", everything), name
    assert "scoreThreshold: Float,  // thresholds.score_threshold of the manifest" in everything, "without a default"
    outputs = [name for task in TASKS for name in tasks.get(task).interface.outputs]
    assert [name for name in outputs if f"`{name}`" not in text] == []
    for field in ("`thresholds`", "`spec.preprocessing`"):
        assert field in text
