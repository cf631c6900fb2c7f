"""ONNX, run by onnxruntime: on servers, on desktops, in browsers."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest
from mobilevit.formats.onnx_model import onnx_model
from mobilevit.formats.running import ExportedRunner, Images

CPU_PIXELS = 8 * 256 * 256  # of the images at a time: more of them leave the caches


def write(graph: Graph, path: Path, precision: str) -> None:
    """One file, for any number of images of the graph's sizes."""
    import onnx

    assert precision == "fp32"
    onnx.save(onnx_model(graph), path)


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
