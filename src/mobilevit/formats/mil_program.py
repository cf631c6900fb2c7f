"""A Core ML program, evaluated operation by operation with torch: what it says, without Apple's runtime.

That checks what was written (weights, operations, their order, the channels), not how a phone runs it. Within an
operation all is float32; its result is rounded to the type that the program declares for it. So in a program in float16
the weights, and whatever passes from one operation to the next, have the precision and the range of float16.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilevit.errors import WeightsError


class MilProgram:
    """The main function of a program in coremltools' intermediate language (MIL)."""

    def __init__(self, program: Any) -> None:
        """WeightsError where the program has operations that OPERATIONS lacks."""
        block = program.functions["main"]
        operations = [op for op in block.operations if op.op_type != "const"]
        if missing := {op.op_type for op in operations} - OPERATIONS.keys():
            raise WeightsError(
                f"the program has operations that cannot be checked here: {', '.join(sorted(missing))}. Compare it on "
                "macOS, or add them to mobilevit.formats.mil_program.OPERATIONS"
            )
        last = {var: op for op in operations for var in op.get_flattened_inputs()}  # to read it
        self._inputs, self._outputs = dict(block.inputs), list(block.outputs)
        self._constants = {var: _constant(var.op.val.val) for var in last if var.op and var.op.op_type == "const"}
        self._steps = [
            Step(
                op.op_type,
                op.inputs,
                [(var, tuple(var.shape), DTYPES.get(var.dtype.__type_info__().name)) for var in op.outputs],
                [var for var in op.get_flattened_inputs() if last[var] is op and var not in self._outputs],
            )
            for op in operations
        ]

    def __call__(self, **inputs: Tensor) -> dict[str, Any]:
        """The outputs by name for the inputs by name: tensors, and what `classify` makes of one."""
        values = self._constants | {self._inputs[name]: value.float() for name, value in inputs.items()}
        for step in self._steps:
            arguments = {name: _valued(argument, values) for name, argument in step.arguments.items()}
            results = OPERATIONS[step.operation](**arguments)
            for output, result in zip(step.outputs, results if isinstance(results, tuple) else (results,), strict=True):
                values[output[0]] = _declared(result, *output)
            for var in step.done:
                values.pop(var, None)  # it may be read twice by this step
        return {var.name: values[var] for var in self._outputs}


@dataclass(frozen=True)
class Step:
    """One operation; its variables are coremltools'."""

    operation: str
    arguments: Mapping[str, Any]  # a variable, or several
    outputs: Sequence[tuple[Any, tuple[int, ...], torch.dtype | None]]  # variable, shape, type; None: no numbers
    done: Sequence[Any]  # variables that nothing reads after this


def _constant(value: Any) -> Any:
    """Numbers with a point as a float32 tensor, those of 8 bits as they are; shapes, axes, names and switches as plain
    Python."""
    value = getattr(value, "ls", value)  # a list of labels
    if getattr(value, "dtype", None) in ("int8", "uint8"):
        return torch.tensor(value)
    if getattr(value, "dtype", None) in ("float16", "float32"):
        return torch.tensor(value).float()
    return value.tolist() if hasattr(value, "tolist") else value


def _valued(argument: Any, values: Mapping[Any, Any]) -> Any:
    return [values[var] for var in argument] if isinstance(argument, list | tuple) else values[argument]


def _declared(result: Any, var: Any, shape: tuple[int, ...], dtype: torch.dtype | None) -> Any:
    """A result as its operation declares it; what is float16 goes on as float32 with the precision of float16."""
    if dtype is None:
        return result
    assert tuple(result.shape) == shape, f"{var.name}: {tuple(result.shape)}, declared as {shape}"
    result = result.to(dtype)
    return result.float() if dtype == torch.float16 else result


DTYPES = {"fp16": torch.float16, "fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}


def conv(
    x: Tensor,
    weight: Tensor,
    pad_type: str,
    pad: Sequence[int],
    strides: list[int],
    dilations: list[int],
    groups: int,
    bias: Tensor | None = None,
) -> Tensor:
    """`pad` is before and after each axis, from the first on."""
    assert pad_type in ("custom", "valid"), pad_type
    if pad_type == "custom":
        top, bottom, left, right = pad
        x = F.pad(x, (left, right, top, bottom))
    return F.conv2d(x, weight, bias, strides, 0, dilations, groups)


def layer_norm(
    x: Tensor, axes: Sequence[int], epsilon: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None
) -> Tensor:
    axes = sorted(axis % x.dim() for axis in axes)
    assert axes == list(range(axes[0], x.dim())), "the last axes"
    return F.layer_norm(x, x.shape[axes[0] :], gamma, beta, float(epsilon))


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


def slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    """The masks say of each axis: from the first, to the last, and only the one at `begin`, without the axis."""
    none = [False] * x.dim()
    pieces = zip(
        begin, end, stride or [1] * x.dim(), begin_mask or none, end_mask or none, squeeze_mask or none, strict=True
    )
    return x[
        tuple(
            first if alone else slice(None if from_first else first, None if to_last else last, step)
            for first, last, step, from_first, to_last, alone in pieces
        )
    ]


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: list[int] | None = None
) -> tuple[Tensor, ...]:
    if split_sizes is not None:
        return torch.split(x, split_sizes, axis)
    assert num_splits is not None
    return torch.chunk(x, num_splits, axis)


def squeeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    return x.squeeze(tuple(axes))


def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """`axes` are those of the result."""
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def upsample_bilinear(
    x: Tensor, scale_factor_height: Tensor, scale_factor_width: Tensor, align_corners: bool
) -> Tensor:
    """To the whole number below the scaled size; the scale itself is then that of the sizes."""
    height, width = x.shape[2:]
    size = [int(float(scale_factor_height) * height), int(float(scale_factor_width) * width)]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners)


def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    assert not interleave
    return torch.cat(values, axis)


def affine(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int) -> Tensor:
    """Weights in 8 bits; zero and scale are one number, or one for each place along the axis."""
    shape = [-1 if place == axis % quantized_data.dim() else 1 for place in range(quantized_data.dim())]
    return (quantized_data.float() - torch.as_tensor(zero_point).float().reshape(shape)) * scale.reshape(shape)


def looked_up(indices: Tensor, lut: Tensor, shape: list[int]) -> Tensor:
    """Weights as places in a table of 256."""
    assert len(lut) == 256, "indices of 8 bits"
    return lut[indices.long()].reshape(shape)


def classify(probabilities: Tensor, classes: list[str]) -> tuple[str, dict[str, float]]:
    """The likeliest class, and all with their probabilities."""
    every = dict(zip(classes, probabilities.flatten().tolist(), strict=True))
    return max(every, key=every.__getitem__), every


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "cast": lambda x, dtype: x,  # noqa: ARG005 (every result is given the type that is declared for it)
    "classify": classify,
    "concat": concat,
    "constexpr_affine_dequantize": affine,
    "constexpr_lut_to_dense": looked_up,
    "conv": conv,
    "exp": lambda x: x.exp(),
    "expand_dims": expand_dims,
    "layer_norm": layer_norm,
    "linear": lambda x, weight, bias=None: F.linear(x, weight, bias),
    "matmul": matmul,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x / y,
    "reduce_argmax": lambda x, axis, keep_dims, output_dtype="int32": x.argmax(axis, keep_dims),  # noqa: ARG005
    "reduce_mean": lambda x, axes, keep_dims=False: x.mean(axes, keep_dims),
    "relu": lambda x: x.relu(),
    "reshape": lambda x, shape: x.reshape(shape),
    "silu": lambda x: F.silu(x),
    "slice_by_index": slice_by_index,
    "softmax": lambda x, axis=-1: x.softmax(axis),
    "split": split,
    "squeeze": squeeze,
    "sub": lambda x, y: x - y,
    "tile": lambda x, reps: x.repeat(reps),
    "transpose": lambda x, perm: x.permute(perm),
    "upsample_bilinear": upsample_bilinear,
}
