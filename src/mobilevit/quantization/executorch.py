"""8 bits in ExecuTorch, by torchao and the quantizer of XNNPACK."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import fx

from mobilevit.formats.executorch import lowered, spelled_out
from mobilevit.quantization.table import Choice, Source

aten = torch.ops.aten


class Rule(NamedTuple):
    """What becomes of one kind of operation."""

    kind: Any  # of torch.ops.aten
    dynamic: bool  # by the range of each input; else by the ranges that the images have


def _by(source: Source, path: Path, rules: Sequence[Rule]) -> None:
    """The operations of some kinds in 8 bits, and all others in float32."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_filter_function(_worth_it)
    for rule in rules:
        config = get_symmetric_quantization_config(is_per_channel=True, is_dynamic=rule.dynamic)
        quantizer.set_operator_type(rule.kind, config)
    with torch.no_grad():
        prepared = prepare_pt2e(spelled_out(source.graph).module(), quantizer)
        for image in source.images:
            prepared(image[None].float())
        converted = torch.export.export(convert_pt2e(prepared), (source.graph.example,))
    path.write_bytes(lowered(converted))


def _worth_it(node: fx.Node) -> bool:
    """Not the products by which a layer norm takes its averages: they have one row, and need their precision."""
    return node.target is not aten.linear.default or node.args[1].meta["val"].shape[0] > 1  # type: ignore[union-attr]


CONVOLUTIONS, LINEAR = aten.conv2d.default, aten.linear.default

CHOICES: Mapping[str, Choice] = {
    "linear": partial(_by, rules=[Rule(LINEAR, dynamic=True)]),
    "convolutions": partial(_by, rules=[Rule(CONVOLUTIONS, dynamic=False)]),
    "mixed": partial(_by, rules=[Rule(CONVOLUTIONS, dynamic=False), Rule(LINEAR, dynamic=True)]),
    "all": partial(_by, rules=[Rule(CONVOLUTIONS, dynamic=False), Rule(LINEAR, dynamic=False)]),
}
