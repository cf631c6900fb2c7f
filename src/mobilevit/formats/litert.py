"""LiteRT, once TensorFlow Lite: Android, and wherever XNNPACK is. One .tflite file, with the channels last.

Its inputs and outputs have names in the file, those of the manifest: a program asks for them by signature.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest
from mobilevit.formats.quiet_libraries import silent
from mobilevit.formats.rewriting import Replacements, rewritten
from mobilevit.formats.running import ExportedRunner, Images
from mobilevit.formats.xnnpack import attention, layer_norm_by

aten = torch.ops.aten


def write(graph: Graph, path: Path, precision: str) -> None:
    """For one image of the spec's size, (1, size, size, 3)."""
    import litert_torch

    assert precision == "fp32"
    images = graph.example.permute(0, 2, 3, 1).contiguous()
    program = ChannelsLast(rewritten(graph.captured, REPLACEMENTS), graph.outputs)
    # not `export`, whose library ends the process where the disk is full
    path.write_bytes(litert_torch.convert(program.eval(), sample_kwargs={"images": images}).model_content())


class ChannelsLast(nn.Module):
    """(1, H, W, 3) float32 RGB, 0-255 -> the outputs of `module` by name."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, self.module(images.permute(0, 3, 1, 2)), strict=True))


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:
    """With as many threads as torch takes, where it is not said: LiteRT itself would take one."""
    with silent("LiteRT"):
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path), num_threads=threads or torch.get_num_threads())
        interpreter.allocate_tensors()
    signature = interpreter.get_signature_runner()

    def run(images: Images) -> list[NDArray[Any]]:
        found = signature(images=np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
        return [found[port.name] for port in manifest.outputs]

    return ExportedRunner(manifest, f"LiteRT {_version()}", run)


def _variance(x: Tensor, _dim: int, eps: float) -> Tensor:
    return (x * x).mean(dim=-1, keepdim=True) + eps


REPLACEMENTS: Replacements = {
    aten.scaled_dot_product_attention.default: attention,
    aten.layer_norm.default: layer_norm_by(_variance),
}


def _version() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")
