"""Exported files: the model's answers in every runtime, a manifest that says what there is to know, and proof."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_models import IMAGE_SIZE, SABOTAGE, TASKS, THRESHOLD, compared, model_of, sabotaged, squares
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mobilevit import tasks
from mobilevit.boxes import iou
from mobilevit.cli import main
from mobilevit.errors import OutputError, ParityError, UsageError, WeightsError
from mobilevit.exporting import divergence, parity
from mobilevit.exporting import export as exporting
from mobilevit.exporting.export import ExportedModel, export
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.views import ENOUGH, views_of
from mobilevit.formats import Runner
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest, manifest_path, read_manifest
from mobilevit.formats.table import open_exported
from mobilevit.inference import Predictor
from mobilevit.loading.batch import prepare
from mobilevit.spec import Preprocessing, at_size
from mobilevit.tasks.detection.result import IOU_THRESHOLD
from mobilevit.weights import model_file
from mobilevit.weights.creating import spec_of

pytest.importorskip("onnxruntime", reason='needs the extra "export"')
pytest.importorskip("onnxscript", reason='needs the extra "export"')
pytest.importorskip("openvino", reason='needs the extra "export"')

Exported = Callable[[str, str], ExportedModel]
FORMATS = ("onnx", "openvino")
EACH = [  # in `make test` every task in one format, and every format in one task
    pytest.param(name, task, marks=[pytest.mark.system] if name != "onnx" and task != "classification" else [])
    for name in FORMATS
    for task in TASKS
]
MIN_SCORE = 0.05  # of objects


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_the_graph_is_the_model_on_whole_numbers(task: str, order: str) -> None:
    """Scale and channel order are folded into the stem: 0-255 RGB gives what the model makes of 0-1 in its order."""
    loaded = copy.deepcopy(model_of(task)).double()
    spec = spec_of(loaded)
    loaded.spec = replace(spec, preprocessing=replace(spec.preprocessing, channel_order=order))
    graph = graph_of(loaded, tasks.get(task), IMAGE_SIZE)
    seen = torch.from_numpy(images(2)).double()
    with torch.no_grad():
        expected = tasks.get(task).postprocess(loaded((seen.flip(1) if order == "bgr" else seen) / 255))
        found = dict(zip(graph.outputs, graph.module(seen), strict=True))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-9, atol=1e-9)
    assert loaded.backbone.stem.conv.weight.equal(model_of(task).backbone.stem.conv.weight.double())


@pytest.mark.parametrize(("name", "task"), EACH)
def test_gives_the_models_answers(task: str, name: str, export_of: Exported) -> None:
    exported = export_of(task, name)
    assert exported.parity is not None
    assert parity.faults(exported.parity, "fp32") == []
    assert exported.parity.images == ENOUGH
    assert exported.parity.generated == 0
    recorded = json.loads(manifest_path(exported.path).read_text())["parity"]
    assert recorded["agreement"] == exported.parity.agreement
    assert recorded["runtime"].split()[0] in ("onnxruntime", "openvino")


@pytest.mark.parametrize(("name", "task"), EACH)
def test_the_predictor_runs_it(task: str, name: str, export_of: Exported, photos: Path) -> None:
    least = MIN_SCORE if task == "detection" else None
    mine = Predictor(str(export_of(task, name).path), score_threshold=least)(photos)
    theirs = Predictor(model_of(task), image_size=IMAGE_SIZE, score_threshold=least)(photos)
    for found, expected in zip(mine, theirs, strict=True):
        assert (found.source, found.size) == (expected.source, expected.size)
        if task == "detection":
            _same_objects(found.to_dict()["objects"], expected.to_dict()["objects"])
        else:
            _same(found.to_dict(), expected.to_dict())


def _same(found: Any, expected: Any) -> None:
    """Equal but for the last digits of numbers."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            _same(found[key], value)
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            _same(one, other)
    else:
        assert found == (pytest.approx(expected, abs=2e-2) if isinstance(expected, float) else expected)


def _same_objects(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Each has its like in the other list. In any order, and any one of several boxes that suppress each other: nearly
    equal scores change places from one processor to another. Those at the threshold may be in one list alone."""
    assert expected
    for these, others in ((found, expected), (expected, found)):
        for one in these:
            assert one["score"] < MIN_SCORE + 0.01 or any(_alike(one, other) for other in others), one


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    overlap = iou(np.array([one["box_xyxy"]]), np.array([other["box_xyxy"]])).item()
    return (
        one["class_id"] == other["class_id"] and overlap > IOU_THRESHOLD and abs(one["score"] - other["score"]) < 2e-2
    )


@pytest.mark.parametrize("name", FORMATS)
def test_several_images_give_what_they_give_alone(name: str, export_of: Exported) -> None:
    runner = open_exported(export_of("classification", name).path, threads=1)
    many = runner(images(5))["probabilities"]
    one_by_one = np.concatenate([runner(image[None])["probabilities"] for image in images(5)])
    np.testing.assert_allclose(many, one_by_one, rtol=1e-4, atol=1e-5)


def test_an_exported_file_keeps_the_score_threshold_it_was_made_with(
    export_of: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported, loaded = export_of("detection", "onnx"), model_of("detection")
    assert exported.manifest.thresholds["score_threshold"] == THRESHOLD.value
    assert exported.manifest.spec.score_threshold == THRESHOLD
    shutil.copy(exported.path, tmp_path / "mine.onnx")
    shutil.copy(manifest_path(exported.path), tmp_path / "mine.onnx.json")
    model = tmp_path / "mine.safetensors"
    model_file.save(model, loaded.state_dict(), spec_of(loaded))
    assert main(["info", str(model)]) == 0
    said = capsys.readouterr().out
    assert "0.35, the best F1 on val of squares, 8 images" in said
    assert "exported with another" not in said
    model_file.rewrite(model, replace(spec_of(loaded), score_threshold=replace(THRESHOLD, value=0.5)))
    assert main(["info", str(model)]) == 0
    expected = "mine.onnx was exported with another score threshold, 0.35 in place of 0.5: export it again"
    assert expected in capsys.readouterr().out
    assert read_manifest(tmp_path / "mine.onnx") == exported.manifest


def test_the_manifest_says_what_a_program_needs(export_of: Exported) -> None:
    exported = export_of("detection", "onnx")
    manifest = read_manifest(exported.path)
    assert manifest == exported.manifest
    assert manifest == Manifest.from_json(manifest.to_json())
    assert [(port.name, port.shape, port.dtype) for port in manifest.inputs] == [
        ("images", ("batch", 3, IMAGE_SIZE, IMAGE_SIZE), "float32")
    ]
    assert [port.name for port in manifest.outputs] == ["boxes", "scores"]
    assert all(port.description for port in (*manifest.inputs, *manifest.outputs))
    assert manifest.preprocessing[-1].parameters["width"] == IMAGE_SIZE
    assert [step.step for step in manifest.postprocessing] == [
        "score_threshold",
        "nms",
        "max_detections",
        "scale_boxes",
    ]
    numbers = {name: value for step in manifest.postprocessing for name, value in step.parameters.items()}
    assert numbers == {**manifest.thresholds, "clip": [0, 1]}
    said = " ".join(step.description for step in manifest.postprocessing)
    assert all(f"{value:g}" in said for value in manifest.thresholds.values())
    assert {"mobilevit", "torch", "onnxruntime"} <= manifest.versions.keys()
    assert manifest.spec == at_size(spec_of(model_of("detection")), IMAGE_SIZE)


@pytest.mark.parametrize("name", FORMATS)
def test_nobodys_folders_are_in_the_file(name: str, export_of: Exported) -> None:
    """Exporters note where in the sources each operation came from."""
    path = export_of("classification", name).path
    for file in [path] if path.is_file() else path.iterdir():
        assert str(Path(exporting.__file__).parents[1]).encode() not in file.read_bytes()


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_the_models_have_learnt(task: str) -> None:
    """What is compared are answers, and no noise: something is found of squares that were not learned from."""
    seen, targets = squares(task, 6, seed=1)
    loaded = model_of(task)
    with torch.no_grad():
        outputs = tasks.get(task).postprocess(loaded(prepare(seen, spec_of(loaded).preprocessing.channel_order)))
    if task == "segmentation":
        assert (outputs["class_map"] == targets).float().mean() > 0.88, "all background would be 0.8"
    else:
        assert (outputs["scores"].amax(dim=(1, 2)) > 0.45).all(), "an untaught head is sure of a quarter"


@pytest.mark.parametrize("kind", SABOTAGE)
@pytest.mark.parametrize(("name", "task"), EACH)
def test_a_file_of_another_model_is_found_out(
    kind: str, task: str, name: str, export_of: Exported, photos: Path
) -> None:
    """The file beside a model that it is no export of, be the difference ever so small a mistake."""
    found = compared(export_of(task, name).path, sabotaged(task, kind), photos)
    said = " ".join(parity.faults(found, "fp32"))
    assert all(f"{output} differ" in said for output in found.outputs)
    assert f"of {found.agreement_of} agree" in said or found.agreement_of == "top-1"
    assert parity.faults(found, "fp16")


def test_such_a_file_is_not_kept(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of a changed model: the export fails, says where it begins, and leaves nothing behind."""
    changed = graph_of(sabotaged("classification", "weights"), tasks.get("classification"), IMAGE_SIZE)
    monkeypatch.setattr(exporting, "graph_of", lambda *_: changed)
    said = r"mobilevit_xxs\.onnx does not give the model's answers in onnxruntime .*the file is no export of this"
    with pytest.raises(ParityError, match=said):
        export(model_of("classification"), ["onnx"], verify=photos, output=tmp_path, image_size=IMAGE_SIZE)
    assert list(tmp_path.iterdir()) == []


def test_the_first_part_that_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that gets stage 3 wrong."""
    graph = graph_of(model_of("classification"), tasks.get("classification"), IMAGE_SIZE)

    class WrongConverter:
        def write(self, _graph: Graph, path: Path, _precision: str) -> None:
            path.touch()

        def open(self, _path: Path, _manifest: Manifest, _threads: None) -> Runner:
            def run(seen: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
                found = divergence.Parts(graph.module.model)(torch.from_numpy(seen).float())
                maps = {name: part.numpy() for name, part in zip(divergence.PARTS, found, strict=True)}
                return maps | {name: -maps[name] for name in ("stage_3", "stage_4", "stage_5")}

            return run

    monkeypatch.setattr(divergence.table, "adapter", lambda _: WrongConverter())
    with torch.no_grad():
        assert divergence.first_difference(graph, "onnx", "fp32", images(2)).endswith("differs is stage 3.")


@pytest.mark.system
def test_half_the_precision_halves_the_file(photos: Path, export_of: Exported, tmp_path: Path) -> None:
    (exported,) = export(
        model_of("classification"),
        ["openvino"],
        verify=photos,
        output=tmp_path,
        precision="fp16",
        image_size=IMAGE_SIZE,
    )
    whole, half = (
        (made.path / "model.bin").stat().st_size for made in (export_of("classification", "openvino"), exported)
    )
    assert half < 0.55 * whole
    assert exported.parity is not None
    assert exported.parity.outputs["probabilities"].cosine > 0.999


def test_our_own_file_is_replaced_and_no_other(tmp_path: Path, export_of: Exported) -> None:
    """Without images nothing is claimed of the new one."""
    made = export_of("classification", "onnx")
    target = tmp_path / "mobilevit_xxs.onnx"
    target.write_text("somebody's")
    with pytest.raises(OutputError, match="was not exported here"):
        export(model_of("classification"), ["onnx"], output=tmp_path, image_size=IMAGE_SIZE)
    assert target.read_text() == "somebody's"
    shutil.copy(made.path, target)
    shutil.copy(manifest_path(made.path), manifest_path(target))
    (exported,) = export(model_of("classification"), ["onnx"], output=tmp_path, image_size=IMAGE_SIZE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mobilevit_xxs.onnx", "mobilevit_xxs.onnx.json"]
    assert exported.parity is None
    assert json.loads(manifest_path(exported.path).read_text())["parity"] == "not run"


def test_a_file_without_its_manifest_or_changed_since(tmp_path: Path, export_of: Exported) -> None:
    made = export_of("classification", "onnx")
    alone = tmp_path / "alone.onnx"
    shutil.copy(made.path, alone)
    with pytest.raises(WeightsError, match=r"has no manifest beside it that can be read \(alone\.onnx\.json\)"):
        Predictor(alone)
    shutil.copy(manifest_path(made.path), manifest_path(alone))
    alone.write_bytes(alone.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="is not what its manifest was written for"):
        Predictor(alone)
    with pytest.raises(WeightsError, match="not found"):
        Predictor(tmp_path / "none.onnx")


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 99}', '{"schema_version": 1}'])
def test_a_manifest_that_is_none(text: str) -> None:
    with pytest.raises(WeightsError, match="manifest"):
        Manifest.from_json(text)


def test_gray_images_get_company_in_color(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(np.full((40, 50), 60 * index, np.uint8)).save(tmp_path / f"{index}.png")
    (views,) = views_of(tmp_path, [Preprocessing(32, 36)])
    assert views.generated == ENOUGH
    assert views.images.shape == views.plain.shape == (ENOUGH + 3, 3, 32, 32)
    assert (views.images[3:].std(axis=1) > 5).any()


def test_a_plain_resize_is_torchs() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    (views,) = views_of(pixels, [Preprocessing(32, fit="stretch")])
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    expected = nn.functional.interpolate(planes, (32, 32), mode="bilinear", align_corners=False, antialias=False)
    assert (torch.from_numpy(views.plain[:1]).float() - expected).abs().max() <= 1


@pytest.mark.parametrize(
    ("formats", "options", "message"),
    [
        (["onxx"], {}, "did you mean onnx"),
        ([], {}, "no format"),
        (["onnx"], {"precision": "fp16"}, "onnx is not written in fp16: choose fp32"),
        (["onnx"], {"image_size": 8}, "`image_size` is 8: it must be between 32"),
    ],
)
def test_what_cannot_be_meant(formats: list[str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        export(model_of("classification"), formats, output=tmp_path, **options)


def test_the_command(tmp_path: Path, photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "mine.safetensors"
    loaded = model_of("classification")
    model_file.save(model, loaded.state_dict(), at_size(spec_of(loaded), IMAGE_SIZE))
    assert main(["export", str(model), "--format", "onnx,openvino", "--verify", str(photos)]) == 0
    said = capfd.readouterr()
    assert "same top-1" in said.out
    assert "plain resize: agreement if the app resizes images without antialiasing" in said.err
    assert "100.0%" in said.out
    assert f"wrote {tmp_path / 'mine.onnx'}" in said.err
    assert main(["predict", str(tmp_path / "mine.openvino"), str(photos / "00.png"), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)[0]["top"]
    assert main(["predict", str(tmp_path / "mine.onnx"), str(photos / "00.png"), "--image-size", "64"]) == 2
    assert f"mine.onnx takes images of {IMAGE_SIZE} px, not of 64" in capfd.readouterr().err
