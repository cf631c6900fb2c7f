"""8 bits in ONNX, by onnxruntime's own tools.

Whatever a choice leaves in float32, its weights are stored in 8 bits. Those of convolutions and products that are
computed in 8 bits have 7 (`reduce_range`): processors without VNNI add two products of 8 bits in 16, which overflow.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mobilevit.quantization.table import Choice, Source

BATCH = 8  # pictures that are calibrated on at a time
AXES = {"Conv": 0, "Gemm": 0, "MatMul": 1}  # of the outputs, in the weights of each operation
LEAST = 256  # numbers: fewer are not worth a scale


def _weights(source: Source, path: Path) -> None:
    """Small and slow to load; computed in float32."""
    import onnx

    _save(onnx.load(source.file), path)


def _linear(source: Source, path: Path) -> None:
    """Products with weights in 8 bits, each picture by its own range."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        source.file,
        path,
        op_types_to_quantize=["MatMul", "Gemm"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        extra_options={"MatMulConstBOnly": True},
    )
    _save(onnx.load(path), path)


def _calibrated(source: Source, path: Path, kinds: Sequence[str] | None) -> None:
    """Operations of some `kinds` (None: of all) in 8 bits, by the ranges that the pictures have in them."""
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    quantize_static(
        source.file,
        path,
        _Pictures(source.pictures),
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


class _Pictures:
    """The pictures as onnxruntime asks for them while it calibrates."""

    def __init__(self, pictures: Tensor) -> None:
        self._batches: Iterator[Tensor] = iter(pictures.split(BATCH))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pictures": batch.numpy().astype(np.float32)}


def _save(model: Any, path: Path) -> None:
    """Write the model, with the weights that are in float32 stored in 8 bits and a scale for each output."""
    import onnx

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    made: dict[str, list[Any]] = {}
    for node in model.graph.node:
        name = node.input[1] if node.op_type in AXES else ""
        tensor = stored.get(name)
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < LEAST:
            continue
        if name not in made:
            made[name] = _in_8_bits(tensor, AXES[node.op_type])
        node.input[1] = f"{name}_restored"
    for name, (numbers, scales, restore) in made.items():
        model.graph.initializer.remove(stored[name])
        model.graph.initializer.extend([numbers, scales])
        model.graph.node.insert(0, restore)
    onnx.save(model, path)


def _in_8_bits(tensor: Any, axis: int) -> list[Any]:
    """The numbers, their scales along `axis`, and the node that makes float32 of them."""
    import onnx

    weights = onnx.numpy_helper.to_array(tensor)
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scales = np.maximum(np.abs(weights).max(axis=others, keepdims=True) / 127, np.finfo(np.float32).tiny)
    numbers = np.round(weights / scales).astype(np.int8)
    names = [f"{tensor.name}_{part}" for part in ("numbers", "scales")]
    return [
        onnx.numpy_helper.from_array(numbers, names[0]),
        onnx.numpy_helper.from_array(scales.reshape(-1).astype(np.float32), names[1]),
        onnx.helper.make_node("DequantizeLinear", names, [f"{tensor.name}_restored"], axis=axis),
    ]
