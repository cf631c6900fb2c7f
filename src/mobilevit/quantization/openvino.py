"""8 bits in OpenVINO, by NNCF."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mobilevit.quantization.table import Choice, Source


def _weights(source: Source, path: Path) -> None:
    """Small; computed in float32."""
    import nncf

    _save(nncf.compress_weights(_model(source), mode=nncf.CompressWeightsMode.INT8_SYM), path)


def _calibrated(source: Source, path: Path, except_kinds: Sequence[str] = (), *, transformer: bool = True) -> None:
    """All operations but some kinds in 8 bits, by the ranges that the images have in them.

    `transformer` leaves what NNCF knows to be sensitive in attention in float32.
    """
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    images = [image[None].numpy().astype(np.float32) for image in source.images]
    quantized = nncf.quantize(
        _model(source),
        nncf.Dataset(images),
        subset_size=len(images),
        preset=nncf.QuantizationPreset.MIXED,
        model_type=nncf.ModelType.TRANSFORMER if transformer else None,
        ignored_scope=nncf.IgnoredScope(types=[*except_kinds], validate=False),
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    _save(nncf.compress_weights(quantized, mode=nncf.CompressWeightsMode.INT8_SYM), path)


CHOICES: Mapping[str, Choice] = {
    "weights": _weights,
    "convolutions": partial(_calibrated, except_kinds=["MatMul", "Add", "Multiply"]),
    "transformer": _calibrated,
    "all": partial(_calibrated, transformer=False),
}


def _model(source: Source) -> Any:
    import openvino

    return openvino.Core().read_model(source.file / "model.xml")


def _save(model: Any, path: Path) -> None:
    import openvino

    path.mkdir()
    openvino.save_model(model, path / "model.xml", compress_to_fp16=False)
