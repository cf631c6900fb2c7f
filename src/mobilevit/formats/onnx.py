"""ONNX, run by onnxruntime: on servers, on desktops, in browsers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.formats.manifest import Manifest
from mobilevit.formats.running import ExportedRunner, Images

if TYPE_CHECKING:  # it imports torch, which nobody needs to run a file
    from mobilevit.formats.graph import Graph

CPU_PIXELS = 8 * 256 * 256  # of the images at a time: more of them leave the caches


def write(graph: "Graph", path: Path, precision: str) -> None:
    """One file, for any number of images of the graph's sizes."""
    import onnx

    assert precision == "fp32"
    onnx.save(graph.onnx_model, path)


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in manifest.outputs]

    def run(images: Images) -> list[NDArray[Any]]:
        return [np.asarray(output) for output in session.run(names, {"images": images})]

    at_a_time = max(1, CPU_PIXELS // manifest.spec.preprocessing.image_size**2)
    return ExportedRunner(manifest, f"onnxruntime {onnxruntime.__version__}", run, at_a_time)
