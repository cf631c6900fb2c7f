"""ExecuTorch: PyTorch's own runtime on phones. One .pte file, computed by XNNPACK but for what `calls` counts.

What XNNPACK lacks is said in operations that it has, so that a model is one piece of it: every seam between its
kernels and the others costs copies, and those others are slow.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import Manifest
from mobilevit.formats.quiet_libraries import silent
from mobilevit.formats.rewriting import Replacements, rewritten
from mobilevit.formats.running import ExportedRunner, Images
from mobilevit.formats.xnnpack import attention, layer_norm_by

aten = torch.ops.aten


def write(graph: Graph, path: Path, precision: str) -> None:
    """For one image of the spec's size."""
    assert precision == "fp32"
    path.write_bytes(lowered(spelled_out(graph)))


def spelled_out(graph: Graph) -> torch.export.ExportedProgram:
    """The graph in operations that XNNPACK has."""
    with torch.no_grad():
        return torch.export.export(rewritten(graph.captured, REPLACEMENTS), (graph.example,))


def lowered(program: torch.export.ExportedProgram) -> bytes:
    """The file of a program."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    buffer: bytes = edge.to_executorch().buffer
    return buffer


def open(path: Path, manifest: Manifest, threads: int | None) -> ExportedRunner:
    """The number of threads is that of all files of this format in the process: the last one opened says it."""
    with silent("ExecuTorch"):
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime
        from executorch.version import __version__

        if threads is not None:
            _unsafe_reset_threadpool(threads)
        program = Runtime.get().load_program(path)
        method = program.load_method("forward")

    def run(images: Images) -> list[NDArray[Any]]:
        return [output.numpy() for output in method.execute([torch.from_numpy(images)])]

    return ExportedRunner(manifest, f"ExecuTorch {__version__.partition('+')[0]}", run)


def calls(path: Path) -> dict[str, int]:
    """How often a file calls XNNPACK, a piece of the model each time, and every operation that is not in a piece."""
    from executorch.exir._serialize._program import deserialize_pte_binary
    from executorch.exir.schema import DelegateCall, KernelCall

    plan = deserialize_pte_binary(path.read_bytes()).program.execution_plan[0]
    found: Counter[str] = Counter()
    for instruction in plan.chains[0].instructions:
        call = instruction.instr_args
        if isinstance(call, DelegateCall):
            found["XNNPACK"] += 1
        elif isinstance(call, KernelCall):
            found[plan.operators[call.op_index].name.removeprefix("aten::")] += 1
    return dict(found)


def _variance(x: Tensor, dim: int, eps: float) -> Tensor:
    """By a product: this XNNPACK takes no mean along the last axis. Its weights must not depend on the tensor."""
    return F.linear(x * x, torch.full((1, dim), 1 / dim), torch.full((1,), eps))


def _select(x: Tensor, axis: int, index: int) -> Tensor:
    """A slice and a change of shape, which are XNNPACK's."""
    first = axis if axis == 0 else axis - 1
    return x.narrow(axis, index, 1).flatten(first, first + 1)


def _mean(x: Tensor, axes: list[int], keepdim: bool = False) -> Tensor:
    """XNNPACK's mean of a map stays a map."""
    mean = x.mean(axes, keepdim=True)
    return mean if keepdim else mean.flatten(1)


REPLACEMENTS: Replacements = {
    aten.scaled_dot_product_attention.default: attention,
    aten.layer_norm.default: layer_norm_by(_variance),
    aten.select.int: _select,
    aten.mean.dim: _mean,
}
