"""Core ML packages: what is in them, and that a program which differs from the model is found out.

On macOS the runtime runs here; elsewhere the saved program is evaluated, and says so.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from exported_models import IMAGE_SIZE, SABOTAGE, TASKS, in_short, model_of
from PIL import Image
from torch import nn

from mobilevit import tasks
from mobilevit.errors import WeightsError
from mobilevit.exporting import parity
from mobilevit.exporting.export import ExportedModel
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.manifests import draft
from mobilevit.exporting.views import views_of
from mobilevit.formats import coreml
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import read_manifest
from mobilevit.formats.mil_program import MilProgram
from mobilevit.formats.torch import TorchRunner
from mobilevit.inference import Predictor
from mobilevit.spec import ClassLabel, ModelSpec, at_size
from mobilevit.tasks.program import Program
from mobilevit.weights.creating import spec_of

ct = pytest.importorskip("coremltools", reason='needs the extra "export"')
mb = ct.converters.mil.Builder

Exported = Callable[[str, str], ExportedModel]

# Writing one takes long: in `make test` a classifier, which has a dictionary, and names of classes.
EACH = in_short(TASKS, "classification")


@pytest.mark.parametrize("task", EACH)
def test_gives_the_models_answers(task: str, export_of: Exported) -> None:
    exported = export_of(task, "coreml")
    assert exported.parity is not None
    assert parity.faults(exported.parity, "fp16") == []
    assert exported.manifest.precision == "fp16"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has the runtime")
def test_nothing_claims_that_the_runtime_ran(export_of: Exported) -> None:
    exported = export_of("classification", "coreml")
    recorded = read_manifest(exported.path).parity
    assert isinstance(recorded, dict)
    assert recorded["runtime"] == "torch (Core ML program checked, runtime not run)"


class Start(nn.Module):
    """(B, 3, H, W) float32 RGB, 0-255 -> a tuple of one map, that of the first block with transformers."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.parts = nn.Sequential(backbone.stem, *backbone.stages[:3])  # type: ignore[misc,index]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.parts(images),)


@pytest.mark.system
def test_float32_is_closer_and_larger(export_of: Exported, tmp_path: Path) -> None:
    graph = graph_of(model_of("classification"), tasks.get("classification"), IMAGE_SIZE)
    start = Graph(Start(graph.module.model.backbone), ("map",), graph.spec)
    path = tmp_path / "start.mlpackage"
    coreml.write(start, path, "fp32")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    found = coreml.open(path, draft(start, "coreml", "fp32", path, descriptions={}), None)(images)
    with torch.no_grad():
        (expected,) = start.module(torch.from_numpy(images).float())
    assert parity.difference(found["map"], expected.numpy()).largest < 1e-4
    half = export_of("classification", "coreml")
    assert half.parity is not None
    assert half.parity.outputs["probabilities"].largest > 1e-4
    parameters = sum(parameter.numel() for parameter in model_of("classification").parameters())
    assert _weights(half.path).stat().st_size < 2.1 * parameters
    assert _weights(path).stat().st_size > 4 * sum(parameter.numel() for parameter in start.module.parameters())


def _weights(package: Path) -> Path:
    (path,) = package.rglob("weight.bin")
    return path


def test_a_classifier_knows_its_classes(export_of: Exported) -> None:
    exported = export_of("classification", "coreml")
    spec, names = _description(exported.path), [label.name for label in exported.manifest.spec.classes]
    assert spec.description.predictedFeatureName == "classLabel"
    assert spec.description.predictedProbabilitiesName == "probabilities"
    kinds = {output.name: output.type.WhichOneof("Type") for output in spec.description.output}
    assert kinds == {"classLabel": "stringType", "probabilities": "dictionaryType"}
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    (classify,) = [op for op in block.operations if op.type == "classify"]
    labels = classify.inputs["classes"].arguments[0].value.immediateValue.list.values
    assert [label.immediateValue.tensor.strings.values[0] for label in labels] == names


def _description(package: Path) -> Any:
    return ct.models.MLModel(str(package), skip_model_load=True).get_spec()


@pytest.mark.parametrize("task", EACH)
def test_what_the_package_says_of_itself(task: str, export_of: Exported) -> None:
    exported = export_of(task, "coreml")
    spec = _description(exported.path)
    (images,) = spec.description.input
    image = images.type.imageType
    assert images.name == "images"
    assert (image.height, image.width) == (IMAGE_SIZE, IMAGE_SIZE)
    assert image.colorSpace == type(image).ColorSpace.RGB
    assert spec.specificationVersion == ct.target.iOS17
    about = spec.description.metadata
    assert spec_of(model_of(task)).architecture in about.shortDescription
    assert about.license == spec_of(model_of(task)).provenance.license
    assert about.author == ""
    assert ModelSpec.from_json(about.userDefined["spec"]) == at_size(spec_of(model_of(task)), IMAGE_SIZE)


@pytest.mark.system
def test_outputs_are_float32_and_integers_by_their_names(export_of: Exported) -> None:
    found = {
        output.name: output.type.multiArrayType
        for task in ("detection", "segmentation")
        for output in _description(export_of(task, "coreml").path).description.output
    }
    kinds = ct.proto.FeatureTypes_pb2.ArrayFeatureType
    assert {name: array.dataType for name, array in found.items()} == {
        "boxes": kinds.FLOAT32,
        "scores": kinds.FLOAT32,
        "class_map": kinds.INT32,
    }
    assert [*found["class_map"].shape] == [1, IMAGE_SIZE, IMAGE_SIZE]


def test_the_manifest_speaks_of_an_image_and_a_dictionary(export_of: Exported) -> None:
    manifest = read_manifest(export_of("classification", "coreml").path)
    (images,), (probabilities,) = manifest.inputs, manifest.outputs
    assert (images.name, images.shape, images.dtype) == ("images", (IMAGE_SIZE, IMAGE_SIZE), "image")
    assert (probabilities.name, probabilities.shape, probabilities.dtype) == ("probabilities", (10,), "dictionary")
    assert "classLabel" in probabilities.description


@pytest.mark.system
def test_the_manifest_speaks_of_boxes_and_scores(export_of: Exported) -> None:
    boxes, scores = read_manifest(export_of("detection", "coreml").path).outputs
    assert (boxes.name, scores.name, boxes.dtype) == ("boxes", "scores", "float32")


def test_classes_of_one_name_are_told_apart_by_their_ids() -> None:
    classes = (ClassLabel("n1", "crane"), ClassLabel("n2", "crane"), ClassLabel("n3", "heron"))
    assert coreml.class_names(ModelSpec("any", "classification", classes)) == ["crane (n1)", "crane (n2)", "heron"]


@pytest.mark.parametrize("kind", SABOTAGE)
@pytest.mark.parametrize("name", EACH)
def test_a_package_that_was_changed_fails(
    kind: str, name: str, export_of: Exported, photos: Path, tmp_path: Path
) -> None:
    """In the saved file, one convolution is replaced by another one."""
    exported = export_of(name, "coreml")
    model, task = model_of(name), tasks.get(name)
    changed = tmp_path / "changed.mlpackage"
    shutil.copytree(exported.path, changed)
    backbone = graph_of(model, task, IMAGE_SIZE).module.model.backbone
    stem, inner = backbone.stem.conv.weight, backbone.stages[3][1].project_out.conv.weight
    old, new = {"weights": (inner, 1.5 * inner), "channels": (stem, stem.flip(1)), "scale": (stem, stem / 255)}[kind]
    content = _weights(changed).read_bytes()
    assert content.count(_float16(old)) == 1
    _weights(changed).write_bytes(content.replace(_float16(old), _float16(new)))

    (views,) = views_of(photos, [exported.manifest.spec.preprocessing])
    reference = TorchRunner(Program(model, exported.manifest.spec, task), exported.manifest.spec, torch.device("cpu"))
    found = parity.compare(coreml.open(changed, exported.manifest, None), reference, views, task)
    assert parity.faults(found, "fp16") != []


def _float16(weights: torch.Tensor) -> bytes:
    return weights.detach().half().contiguous().numpy().tobytes()


@pytest.mark.parametrize("task", EACH[:2])
def test_the_predictor_runs_it(task: str, export_of: Exported, photos: Path) -> None:
    image = photos / "00.png"
    (mine,) = Predictor(str(export_of(task, "coreml").path), score_threshold=0.05)(image)
    (theirs,) = Predictor(model_of(task), image_size=IMAGE_SIZE, score_threshold=0.05)(image)
    assert json.dumps(mine.to_dict()).count("score") == json.dumps(theirs.to_dict()).count("score")
    if task == "classification":
        assert mine.to_dict()["top"][0]["class_name"] == theirs.to_dict()["top"][0]["class_name"]


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has the runtime")
@pytest.mark.parametrize("task", EACH[::2])  # a dictionary, and integers
def test_on_macos_the_runtime_would_get_images(task: str, export_of: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given to the runtime and what is made of its answers, with an evaluation of the program in its place."""
    exported = export_of(task, "coreml")
    here = coreml.open(exported.path, exported.manifest, None)
    predict, _ = coreml._checked(exported.path)

    def predicted(_: object, inputs: dict[str, Any]) -> dict[str, Any]:
        image = inputs["images"]
        assert isinstance(image, Image.Image)
        assert (image.mode, image.size) == ("RGB", (IMAGE_SIZE, IMAGE_SIZE))
        return predict(np.asarray(image, np.float32).transpose(2, 0, 1)[None].copy())

    monkeypatch.setattr(coreml, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(ct.models.MLModel, "predict", predicted)
    there = coreml.open(exported.path, exported.manifest, None)
    assert there.runtime.startswith("Core ML")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    found = there(images)
    for name, values in here(images).items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
        assert len(values) == 2


def test_an_operation_that_is_unknown_is_named() -> None:
    @mb.program(input_specs=[mb.TensorSpec(shape=(2, 3))])
    def program(x: Any) -> Any:
        return mb.erf(x=mb.tan(x=mb.relu(x=x)))

    with pytest.raises(WeightsError, match=r"operations that cannot be checked here: erf, tan\. Compare it on macOS"):
        MilProgram(program)


ROWS = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
MORE = np.random.default_rng(1).uniform(0.5, 2, size=(2, 1, 4, 5)).astype(np.float32)
NONE = [False] * 4


@pytest.mark.parametrize(
    "made",
    [
        lambda x: mb.add(x=x, y=MORE),
        lambda x: mb.sub(x=x, y=MORE),
        lambda x: mb.mul(x=MORE, y=x),
        lambda x: mb.real_div(x=x, y=MORE),
        lambda x: mb.exp(x=x),
        lambda x: mb.relu(x=x),
        lambda x: mb.softmax(x=x, axis=1),
        lambda x: mb.reduce_mean(x=x, axes=[0, -1], keep_dims=True),
        lambda x: mb.reduce_argmax(x=x, axis=1, keep_dims=False),
        lambda x: mb.cast(x=x, dtype="int32"),
        lambda x: mb.transpose(x=x, perm=[2, 0, 3, 1]),
        lambda x: mb.reshape(x=x, shape=[6, -1]),
        lambda x: mb.concat(values=[x, x], axis=-1),
        lambda x: mb.split(x=x, split_sizes=[1, 3, 1], axis=-1),
        lambda x: mb.split(x=x, num_splits=2, axis=2),
        lambda x: mb.expand_dims(x=mb.reduce_mean(x=x, axes=[3]), axes=[0, -1]),
        lambda x: mb.squeeze(x=mb.reduce_mean(x=x, axes=[0, 2], keep_dims=True), axes=[0, -2]),
        lambda x: mb.tile(x=x, reps=[1, 2, 1, 3]),
        lambda x: mb.slice_by_index(x=x, begin=[0, 1, 0, 1], end=[2, 3, 3, 5], stride=[1, 1, 2, 2]),
        lambda x: mb.slice_by_index(
            x=x,
            begin=[1, 2, 1, -2],
            end=[2, 0, 2, 0],
            begin_mask=[False, True, False, False],
            end_mask=[False, True, False, True],
            squeeze_mask=[True, False, False, False],
        ),
    ],
)
def test_operations_give_what_coremltools_makes_of_constants(made: Callable[[Any], Any]) -> None:
    """coremltools computes an operation itself where its inputs are constant: a second opinion on the table."""

    @mb.program(input_specs=[mb.TensorSpec(shape=ROWS.shape)])
    def program(x: Any) -> Any:
        return made(x)

    expected: list[Any] = []

    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))])
    def folded(x: Any) -> Any:
        found = made(mb.const(val=ROWS))
        expected.extend(var.val for var in (found if isinstance(found, list | tuple) else [found]))
        return mb.relu(x=x)

    found = MilProgram(program)(x=torch.from_numpy(ROWS))
    for values, wanted in zip(found.values(), expected, strict=True):
        assert wanted is not None, "coremltools does not compute this"
        torch.testing.assert_close(values, torch.as_tensor(wanted), check_dtype=False, rtol=1e-5, atol=1e-6)


NUMBERS = np.random.default_rng(2).integers(0, 256, (4, 3, 2, 2), dtype=np.uint8)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (
            lambda: mb.constexpr_affine_dequantize(
                quantized_data=NUMBERS.astype(np.int8),
                zero_point=np.int8(3),
                scale=np.array([1, 2, 3], np.float32),
                axis=np.int32(1),
            ),
            (NUMBERS.astype(np.int8) - 3.0) * np.array([1, 2, 3])[:, None, None],
        ),
        (
            lambda: mb.constexpr_affine_dequantize(
                quantized_data=NUMBERS,
                zero_point=np.array([0, 1, 2, 3], np.uint8),
                scale=np.float32(0.5),
                axis=np.int32(0),
            ),
            (NUMBERS - np.arange(4.0)[:, None, None, None]) * 0.5,
        ),
        (
            lambda: mb.constexpr_lut_to_dense(
                indices=NUMBERS.reshape(-1),
                lut=np.arange(256, dtype=np.float32)[::-1].copy(),
                shape=np.array(NUMBERS.shape, np.uint32),
            ),
            255.0 - NUMBERS,
        ),
    ],
)
def test_weights_in_8_bits(made: Callable[[], Any], expected: np.ndarray) -> None:
    @mb.program(input_specs=[mb.TensorSpec(shape=(1,))], opset_version=ct.target.iOS16)
    def program(x: Any) -> Any:
        return mb.add(x=made(), y=x)

    (found,) = MilProgram(program)(x=torch.zeros(1)).values()
    torch.testing.assert_close(found, torch.from_numpy(expected).float())


def test_what_passes_between_operations_has_the_declared_precision() -> None:
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 2))])
    def program(x: Any) -> Any:
        half = mb.cast(x=x, dtype="fp16")
        return mb.cast(x=mb.mul(x=half, y=np.float16(3)), dtype="fp32")

    (found,) = MilProgram(program)(x=torch.tensor([[1.0001, 50000.0]])).values()
    assert found.dtype == torch.float32
    assert found.tolist() == [[3.0, float("inf")]]
