"""OpenVINO: Intel's and ARM's processors. The exported model is a folder with model.xml and model.bin.

It is made of the ONNX model and left open for any number of images: with that number fixed to one, OpenVINO 2026.4
gives other answers where a map has four tokens (stage 5 at 128 px), by 0.1 in a probability.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from mobilevit.formats.manifest import Manifest
from mobilevit.formats.running import ExportedRunner, Images

if TYPE_CHECKING:  # it imports torch, which nobody needs to run a file
    from mobilevit.formats.graph import Graph


def write(graph: "Graph", path: Path, precision: str) -> None:
    """For any number of images. `precision` fp16 halves the file; processors that compute in float32 still do."""
    import onnx
    import openvino

    path.mkdir()
    source = path / "model.onnx"
    onnx.save(graph.onnx_model, source)
    model = openvino.convert_model(source)
    openvino.save_model(model, path / "model.xml", compress_to_fp16=precision == "fp16")
    source.unlink()


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:
    import openvino

    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(path / "model.xml", "CPU", settings)
    request = compiled.create_infer_request()
    names = [port.name for port in manifest.outputs]

    def run(images: Images) -> list[NDArray[Any]]:
        results = request.infer([images], share_inputs=True)
        return [results[name] for name in names]

    return ExportedRunner(manifest, f"openvino {openvino.__version__.partition('-')[0]}", run)
