"""What is exported: one module, from an image as every program has it to the outputs of the task.

Formats start from one of two forms of it, each of which is made once for all of them: as torch.export captures it, and
as an ONNX model, which takes ten seconds and more.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mobilevit.spec import ModelSpec


@dataclass(frozen=True)
class Graph:
    """A model that needs no preparation of its input but the resize.

    `module` takes (B, 3, H, W) float32 RGB, 0-255, and returns a tuple: the tensors that `outputs` names, in order.
    """

    module: nn.Module
    outputs: tuple[str, ...]
    spec: ModelSpec
    further_px: tuple[int, ...] = ()  # sides of other squares that the same exported model has to take

    @property
    def image_size(self) -> int:
        """Side of the square images."""
        return self.spec.preprocessing.image_size

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of all squares that the exported model has to take, its own first."""
        return (self.image_size, *self.further_px)

    @cached_property
    def example(self) -> Tensor:
        """(1, 3, image_size, image_size) float32, 0-255."""
        return self.example_of(self.image_size)

    def example_of(self, image_size: int) -> Tensor:
        """The same at another size."""
        noise = torch.Generator().manual_seed(0)
        return torch.rand(1, 3, image_size, image_size, generator=noise) * 255

    @cached_property
    def captured(self) -> torch.export.ExportedProgram:
        """The module as torch.export sees it, for one image at a time."""
        with torch.no_grad():
            return torch.export.export(self.module, (self.example,))

    @cached_property
    def onnx_model(self) -> Any:
        """The module as an onnx.ModelProto, for any number of images of its sizes; whoever gets it changes nothing."""
        import onnx

        program = torch.onnx.export(
            self.module,
            (torch.cat([self.example_of(max(self.image_sizes))] * 2),),
            input_names=["images"],
            output_names=list(self.outputs),
            dynamic_shapes=(_free_axes(self),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
        _forget(model.graph)
        model.producer_name = "mobilevit"
        model.doc_string = f"{self.spec.architecture}: float32 RGB images, 0-255"
        onnx.helper.set_model_props(model, {"spec": self.spec.to_json()})
        onnx.checker.check_model(model, full_check=True)
        return model


OPSET = 20


def _free_axes(graph: Graph) -> dict[int, Any]:
    """The axes of the images that have no fixed length: their number and, where several sizes are asked for, sides.

    Sides go by steps that all sizes are multiples of, so that nothing in the graph depends on which it is.
    """
    batch = torch.export.Dim("batch", min=1, max=1024)
    if not graph.further_px:
        return {0: batch}
    step = math.gcd(*graph.image_sizes)
    side = step * torch.export.Dim("steps", min=min(graph.image_sizes) // step, max=max(graph.image_sizes) // step)
    return {0: batch, 2: side, 3: side}


def _forget(graph: Any) -> None:
    """Take away where in the sources each operation came from: a megabyte, and folders of whoever exports."""
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
