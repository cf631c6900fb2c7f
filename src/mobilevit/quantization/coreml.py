"""8-bit weights in Core ML, by coremltools; computed in float16. They need no images."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mobilevit.quantization.table import Choice, Source

LEAST = 256  # numbers: fewer are not worth a scale


def _scaled(source: Source, path: Path, mode: str) -> None:
    """Each output of an operation with a scale, and in the mode "linear" with a zero of its own."""
    import coremltools.optimize.coreml as cto

    config = cto.OpLinearQuantizerConfig(mode=mode, weight_threshold=LEAST)
    _save(cto.linear_quantize_weights(_model(source), cto.OptimizationConfig(global_config=config)), path)


def _looked_up(source: Source, path: Path) -> None:
    """256 values for each operation, where its weights are closest to them."""
    import coremltools.optimize.coreml as cto

    config = cto.OpPalettizerConfig(mode="kmeans", nbits=8, weight_threshold=LEAST)
    _save(cto.palettize_weights(_model(source), cto.OptimizationConfig(global_config=config)), path)


CHOICES: Mapping[str, Choice] = {
    "symmetric": partial(_scaled, mode="linear_symmetric"),
    "weights": partial(_scaled, mode="linear"),
    "palette": _looked_up,
}


def _model(source: Source) -> Any:
    import coremltools as ct

    return ct.models.MLModel(str(source.file), skip_model_load=True)


def _save(model: Any, path: Path) -> None:
    model.save(str(path))
