"""ExecuTorch and LiteRT: the model's answers in all tasks, image by image."""

import copy
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from exported_models import IMAGE_SIZE, SABOTAGE, TASKS, compared, in_short, model_of, sabotaged
from numpy.typing import NDArray

from mobilevit import tasks
from mobilevit.exporting import parity
from mobilevit.exporting.export import ExportedModel
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.views import ENOUGH
from mobilevit.formats import executorch, litert_program
from mobilevit.formats.manifest import read_manifest
from mobilevit.formats.rewriting import rewritten
from mobilevit.formats.table import FORMATS, open_exported

Exported = Callable[[str, str], ExportedModel]


def where_installed(name: str) -> object:
    missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
    return pytest.param(name, marks=pytest.mark.skipif(bool(missing), reason=f'extra "export" lacks {missing}'))


# Writing one takes long: in `make test` a detector, which has two outputs and the most kinds of operations.
EACH = in_short(TASKS, "detection")
BOTH = [where_installed("executorch"), where_installed("litert")]


def images(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 3, IMAGE_SIZE, IMAGE_SIZE), np.uint8)


@pytest.mark.parametrize("task", EACH)
@pytest.mark.parametrize("name", BOTH)
def test_gives_the_models_answers_one_by_one(task: str, name: str, export_of: Exported) -> None:
    exported = export_of(task, name)
    found = exported.parity
    assert found is not None
    assert parity.faults(found, "fp32") == []
    assert (found.images, found.generated) == (ENOUGH, 0)
    assert set(found.outputs) == {name for name in tasks.get(task).interface.outputs if name != "class_map"}


@pytest.mark.parametrize("name", BOTH)
def test_several_images_are_what_they_are_alone(name: str, export_of: Exported) -> None:
    runner = open_exported(export_of("detection", name).path, threads=1)
    many = runner(images(3))
    assert many["boxes"].dtype == many["scores"].dtype == np.float32
    for output, values in many.items():
        alone = [runner(image[None])[output] for image in images(3)]
        assert np.array_equal(values, np.concatenate(alone))
        assert not np.array_equal(values[0], values[1]), "memory that a runtime used again"


@pytest.mark.parametrize("kind", in_short(SABOTAGE, "weights"))
@pytest.mark.parametrize("task", EACH)
@pytest.mark.parametrize("name", BOTH)
def test_the_file_of_another_model_is_found_out(
    kind: str, task: str, name: str, export_of: Exported, photos: Path
) -> None:
    found = compared(export_of(task, name).path, sabotaged(task, kind), photos)
    said = " ".join(parity.faults(found, "fp32"))
    assert said
    assert all(f"{output} differ" in said for output in found.outputs)


@where_installed("litert").marks[0]  # type: ignore[attr-defined]
def test_litert_knows_inputs_and_outputs_by_name(export_of: Exported) -> None:
    from ai_edge_litert.interpreter import Interpreter

    exported = export_of("detection", "litert")
    signature = Interpreter(model_path=str(exported.path)).get_signature_runner()
    manifest = read_manifest(exported.path)
    for ports, found in (
        (manifest.inputs, signature.get_input_details()),
        (manifest.outputs, signature.get_output_details()),
    ):
        assert {port.name: port.shape for port in ports} == {
            name: tuple(details["shape"].tolist()) for name, details in found.items()
        }


@pytest.mark.system
@where_installed("executorch").marks[0]  # type: ignore[attr-defined]
def test_xnnpack_computes_all_of_a_classifier_in_one_piece(export_of: Exported) -> None:
    exported = export_of("classification", "executorch")
    assert executorch.calls(exported.path) == exported.manifest.delegate_calls == {"XNNPACK": 1}


@pytest.fixture
def in_double() -> Iterator[None]:
    """Tensors that a replacement makes are of the program's type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("adapter", [executorch, litert_program])
@pytest.mark.parametrize("task", EACH)
@pytest.mark.usefixtures("in_double")
def test_other_words_for_the_same(task: str, adapter: ModuleType) -> None:
    """In double precision nothing is left of a difference."""
    graph = graph_of(copy.deepcopy(model_of(task)).double(), tasks.get(task), IMAGE_SIZE)
    seen = graph.example.double()
    with torch.no_grad():
        program = torch.export.export(graph.module, (seen,))
        expected, found = graph.module(seen), rewritten(program, adapter.REPLACEMENTS)(seen)
    for values, others in zip(expected, found, strict=True):
        torch.testing.assert_close(others, values, rtol=1e-9, atol=1e-9)
