"""8 bits in ExecuTorch, by torchao and the quantiser of XNNPACK."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from mobilevit.formats.executorch import lowered, spelled_out
from mobilevit.quantization.table import Choice, Source

aten = torch.ops.aten


class Rule(NamedTuple):
    """What becomes of one kind of operation."""

    kind: Any  # of torch.ops.aten
    dynamic: bool  # by the range of each input; else by the ranges that the pictures have


CONVOLUTIONS = Rule(aten.conv2d.default, dynamic=False)
CONVOLUTIONS_DYNAMIC = Rule(aten.conv2d.default, dynamic=True)
LINEAR = Rule(aten.linear.default, dynamic=False)
LINEAR_DYNAMIC = Rule(aten.linear.default, dynamic=True)


def _by(source: Source, path: Path, rules: Sequence[Rule]) -> None:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e import move_exported_model_to_eval
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_filter_function(_has_weights)
    for kind, dynamic in rules:
        quantizer.set_operator_type(kind, get_symmetric_quantization_config(is_per_channel=True, is_dynamic=dynamic))
    example = (source.graph.example,)
    with torch.no_grad():
        prepared = prepare_pt2e(torch.export.export(spelled_out(source.graph), example).module(), quantizer)
        for picture in source.pictures:
            prepared(picture[None].float())
        converted = torch.export.export(convert_pt2e(prepared), example)
    path.write_bytes(lowered(converted))
