"""8 bits in LiteRT, by Google's AI Edge Quantizer."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mobilevit.quantization.table import Choice, Source

Mode = Literal["weights", "dynamic", "calibrated", "float"]
EVERY = "*"


class Rule(NamedTuple):
    """What becomes of the operations of one kind; a later rule goes before an earlier one."""

    kind: str
    mode: Mode


def _by(source: Source, path: Path, rules: Sequence[Rule]) -> None:
    """Each kind in 8 bits by one of the modes: its weights alone, with the arithmetic in float32; by the range of each
    input; by the ranges that the images have; or not at all."""
    from ai_edge_quantizer import quantizer

    made = quantizer.Quantizer(str(source.file))
    for rule in rules:
        _add(made, rule)
    ranges = made.calibrate(_images(source)) if made.need_calibration else None
    made.quantize(ranges).export_model(str(path))


def _add(quantizer: Any, rule: Rule) -> None:
    if rule.mode == "weights":
        quantizer.add_weight_only_config(".*", rule.kind, num_bits=8)
    elif rule.mode == "dynamic":
        quantizer.add_dynamic_config(".*", rule.kind, num_bits=8)
    elif rule.mode == "float":
        quantizer.update_quantization_recipe(".*", rule.kind, algorithm_key="no_quantize")
    else:
        quantizer.add_static_config(".*", rule.kind, activation_num_bits=8, weight_num_bits=8)


def _images(source: Source) -> dict[str, list[dict[str, Any]]]:
    """One by one, by the name of the file's only signature."""
    pixels = source.images.permute(0, 2, 3, 1).contiguous().numpy().astype(np.float32)
    return {"serving_default": [{"images": image[None]} for image in pixels]}


CHOICES: Mapping[str, Choice] = {
    "weights": partial(_by, rules=[Rule(EVERY, "weights")]),
    "linear": partial(_by, rules=[Rule(EVERY, "weights"), Rule("FULLY_CONNECTED", "dynamic")]),
    "dynamic": partial(_by, rules=[Rule(EVERY, "dynamic")]),
    "convolutions": partial(
        _by,
        rules=[Rule(EVERY, "weights"), Rule("CONV_2D", "calibrated"), Rule("DEPTHWISE_CONV_2D", "calibrated")],
    ),
    "all": partial(_by, rules=[Rule(EVERY, "calibrated"), Rule("INPUT", "float"), Rule("OUTPUT", "float")]),
}
