"""Core ML: iPhones, iPads and Macs, from iOS 17 and macOS 14 on. The exported model is a package, which is a folder.

Apple's runtime exists on macOS alone. Elsewhere the saved package is read again and its program is evaluated with
torch; what is found there is said of the program and not of the runtime.
"""

import platform
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest, TensorInfo
from mobilevit.formats.mil_program import MilProgram
from mobilevit.formats.quiet_libraries import silent
from mobilevit.formats.running import ExportedRunner, Images
from mobilevit.spec import ModelSpec

PROBABILITIES = "probabilities"  # the output that Core ML turns into a label and a dictionary
LABEL = "classLabel"  # what Apple's own models call the name of the likeliest class

Predict = Callable[[Images], dict[str, Any]]  # one image -> the outputs by name


def write(graph: Graph, path: Path, precision: str) -> None:
    """For one image of the spec's size. A classifier knows the names of its classes."""
    import coremltools as ct

    classifies = graph.outputs == (PROBABILITIES,) and bool(graph.spec.classes)
    program = graph.captured.run_decompositions({})  # the converter knows nothing that is done in place
    model = ct.convert(
        program,
        inputs=[ct.ImageType("images", tuple(graph.example.shape), color_layout=ct.colorlayout.RGB)],
        outputs=_outputs(program, graph.outputs, named=not classifies),
        classifier_config=ct.ClassifierConfig(class_names(graph.spec), LABEL) if classifies else None,
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        skip_model_load=True,
    )
    if classifies:
        model = _renamed(model, f"{LABEL}_probs", PROBABILITIES)
    _describe(model, graph.spec)
    model.save(str(path))


def _outputs(program: torch.export.ExportedProgram, names: tuple[str, ...], *, named: bool) -> list[Any]:
    """Float32 and int32 for whoever reads them: left to itself the converter would hand out float16.

    A classifier's is not `named`: the dictionary that is made of it will have the name, and none may be there twice.
    """
    import coremltools as ct

    nodes = program.graph.output_node().args[0]
    floating = [node.meta["val"].is_floating_point() for node in nodes]
    return [
        ct.TensorType(name=name if named else None, dtype=np.float32 if is_floating else np.int32)
        for name, is_floating in zip(names, floating, strict=True)
    ]


def class_names(spec: ModelSpec) -> list[str]:
    """The classes as keys of a dictionary: by name, and where several share one also by id."""
    counts = Counter(label.name for label in spec.classes)
    return [label.name if counts[label.name] == 1 else f"{label.name} ({label.id})" for label in spec.classes]


def _renamed(model: Any, old: str, new: str) -> Any:
    """The model with another name for an output."""
    import coremltools as ct

    description = model.get_spec()
    ct.utils.rename_feature(description, old, new)
    return ct.models.MLModel(description, weights_dir=model.weights_dir, skip_model_load=True)


def _describe(model: Any, spec: ModelSpec) -> None:
    """What Xcode shows of the package; the whole spec is in it as JSON."""
    model.short_description = f"{spec.architecture}, {spec.task} of {len(spec.classes)} classes"
    model.license = spec.provenance.license
    model.user_defined_metadata["spec"] = spec.to_json()
    side = spec.preprocessing.image_size
    model.input_description["images"] = f"An RGB image of {side} x {side}"


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:  # noqa: ARG001
    """One image at a time; how many threads that takes is Core ML's own affair."""
    on_mac = sys.platform == "darwin"
    predict, runtime = _core_ml(path) if on_mac else _checked(path)
    labels = class_names(manifest.spec)

    def run(images: Images) -> list[NDArray[Any]]:
        found = predict(images)
        return [_values(found[port.name], port, labels) for port in manifest.outputs]

    return ExportedRunner(manifest, runtime, run)


def _values(output: Any, port: TensorInfo, labels: list[str]) -> NDArray[Any]:
    """An output as an array: a dictionary of classes as a row of their probabilities."""
    if isinstance(output, dict):
        return np.array([[output[label] for label in labels]], np.float32)
    return np.asarray(output, port.dtype)


def _core_ml(path: Path) -> tuple[Predict, str]:
    """Apple's runtime, on whatever processors it chooses."""
    from PIL import Image

    with silent("Core ML"):  # coremltools warns of every package that is newer than it knows
        import coremltools as ct

        model = ct.models.MLModel(str(path))

    def predict(images: Images) -> dict[str, Any]:
        image = Image.fromarray(images[0].transpose(1, 2, 0).astype(np.uint8))
        found: dict[str, Any] = model.predict({"images": image})
        return found

    return predict, f"Core ML of macOS {platform.mac_ver()[0]}"


def _checked(path: Path) -> tuple[Predict, str]:
    """The program that was saved, with the weights that were saved, evaluated with torch."""
    with silent("Core ML"):
        import coremltools as ct
        from coremltools.converters.mil.frontend.milproto.load import load

        model = ct.models.MLModel(str(path), skip_model_load=True)
        description = model.get_spec()
        program = MilProgram(load(description, description.specificationVersion, model.weights_dir))

    def predict(images: Images) -> dict[str, Any]:
        with torch.inference_mode():
            return program(images=torch.from_numpy(images))

    return predict, "torch (Core ML program checked, runtime not run)"
