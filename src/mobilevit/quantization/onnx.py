"""8 bits in ONNX, by onnxruntime's own tools.

Whatever a choice computes in float32, its weights are stored in 8 bits, and multiplied by their scales when the file is
loaded. What is computed in 8 bits has weights of 7 (`reduce_range`): processors without VNNI add two products of 8 bits
in 16, which overflow.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilevit.quantization.table import Choice, Source

BATCH = 8  # images that are calibrated on at a time
AXES = {"Conv": 0, "Gemm": 0, "MatMul": 1}  # of the outputs, in the weights of each operation
LEAST = 256  # numbers: fewer are not worth a scale


def _weights(source: Source, path: Path) -> None:
    """Small; computed in float32."""
    _save(_model(source), path)


def _linear(source: Source, path: Path) -> None:
    """Products with weights in 8 bits, each image by its own range."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        _model(source),
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"MatMulConstBOnly": True},
    )
    _save(onnx.load(path), path)


def _calibrated(source: Source, path: Path, kinds: Sequence[str] | None) -> None:
    """Operations of some `kinds` (None: of all) in 8 bits, by the ranges that the images have in them."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    quantize_static(
        _model(source),
        path,
        _Images(source.images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=kinds,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"CalibMovingAverage": True},
    )
    _save(onnx.load(path), path)


CHOICES: Mapping[str, Choice] = {
    "weights": _weights,
    "linear": _linear,
    "convolutions": partial(_calibrated, kinds=["Conv"]),
    "all": partial(_calibrated, kinds=None),
}


class _Images:
    """The images as onnxruntime asks for them while it calibrates."""

    def __init__(self, images: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(torch.split(images, BATCH))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"images": batch.numpy().astype(np.float32)}


def _model(source: Source) -> Any:
    """Without the shapes between the operations: the tools turn a Gemm's weights, and then take offence at them."""
    import onnx

    model = onnx.load(source.file)
    model.graph.ClearField("value_info")
    return model


def _save(model: Any, path: Path) -> None:
    """Write the model, with the weights that are still in float32 stored in 8 bits."""
    import onnx

    graph, made = model.graph, {}
    stored = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    for node in graph.node:
        tensor = stored.get(node.input[1]) if node.op_type in AXES else None
        if tensor is not None and np.prod(tensor.dims) >= LEAST:
            made[tensor.name] = _in_8_bits(tensor, AXES[node.op_type])
    for name, (numbers, scales, nodes) in made.items():
        graph.initializer.remove(stored[name])
        graph.initializer.extend([numbers, scales])
        for node in reversed(nodes):
            graph.node.insert(0, node)
    onnx.save(model, path)


def _in_8_bits(tensor: Any, axis: int) -> tuple[Any, Any, list[Any]]:
    """The numbers of a tensor, a scale for each place along `axis`, and what makes the tensor of them.

    No DequantizeLinear: onnxruntime would compute that at every image, and these two once.
    """
    import onnx

    weights = onnx.numpy_helper.to_array(tensor)
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scales = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / 127, np.finfo(np.float32).tiny)
    numbers = np.round(weights / scales).astype(np.int8)
    name, whole = tensor.name, f"{tensor.name}_whole"
    return (
        onnx.numpy_helper.from_array(numbers, f"{name}_numbers"),
        onnx.numpy_helper.from_array(scales.astype(np.float32), f"{name}_scales"),
        [
            onnx.helper.make_node("Cast", [f"{name}_numbers"], [whole], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", [whole, f"{name}_scales"], [name]),
        ],
    )
