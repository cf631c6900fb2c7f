"""The graph as an ONNX model: the exported model of one format, and the way into another."""

import math
from functools import lru_cache
from typing import Any

import torch

from mobilevit.formats.graph import Graph

OPSET = 20


@lru_cache(maxsize=1)  # the two formats follow each other, and it takes ten seconds and more
def onnx_model(graph: Graph) -> Any:
    """An onnx.ModelProto for any number of images of the graph's sizes; whoever gets it changes nothing in it."""
    import onnx

    program = torch.onnx.export(
        graph.module,
        (torch.cat([graph.example_of(max(graph.image_sizes))] * 2),),
        input_names=["images"],
        output_names=list(graph.outputs),
        dynamic_shapes=(_free_axes(graph),),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    _forget(model.graph)
    model.producer_name = "mobilevit"
    model.doc_string = f"{graph.spec.architecture}: float32 RGB images, 0-255"
    onnx.helper.set_model_props(model, {"spec": graph.spec.to_json()})
    onnx.checker.check_model(model, full_check=True)
    return model


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
