"""LiteRT, once TensorFlow Lite: Android, and wherever XNNPACK is. One .tflite file, with the channels last.

Its inputs and outputs have names in the file, those of the manifest: a program asks for them by signature.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mobilevit.formats.manifest import Manifest
from mobilevit.formats.quiet_libraries import silent
from mobilevit.formats.running import ExportedRunner, Images

if TYPE_CHECKING:  # it imports torch, which nobody needs to run a file
    from mobilevit.formats.graph import Graph


def write(graph: "Graph", path: Path, precision: str) -> None:
    """For one image of the spec's size, (1, size, size, 3)."""
    from mobilevit.formats.litert_program import converted

    assert precision == "fp32"
    path.write_bytes(converted(graph))


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:
    """With as many threads as there are cores, where it is not said: LiteRT itself would take one."""
    with silent("LiteRT"):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=threads or _cores())
        interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner()

    def run(images: Images) -> list[NDArray[Any]]:
        found = signature(images=np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
        return [found[port.name] for port in manifest.outputs]

    return ExportedRunner(manifest, f"LiteRT {_version()}", run)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")
