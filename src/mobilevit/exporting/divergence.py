"""Where does the difference begin? The parts of the model, exported in one graph and compared one by one."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mobilevit.exporting.manifests import draft
from mobilevit.exporting.parity import difference
from mobilevit.formats import table
from mobilevit.formats.graph import Graph
from mobilevit.formats.table import Precision

PARTS = ("stem", "stage_1", "stage_2", "stage_3", "stage_4", "stage_5")
ALIKE: dict[Precision, float] = {"fp32": 0.999999, "fp16": 0.999}  # least cosine of two maps


def first_difference(graph: Graph, name: str, precision: Precision, images: NDArray[np.uint8]) -> str:
    """Which part of the model is the first whose map differs in the format `name`, in a sentence for people.

    `images` (N, 3, S, S) RGB.
    """
    parts = replace(graph, module=Parts(graph.module.model), outputs=PARTS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"parts{table.FORMATS[name].suffix}"
        adapter = table.adapter(name)
        adapter.write(parts, path, precision)
        found = adapter.open(path, draft(parts, name, precision, path, descriptions={}), None)(images)
    with torch.no_grad():
        expected = dict(zip(PARTS, parts.module(torch.from_numpy(images).float()), strict=True))
    for part in PARTS:
        if not difference(found[part], expected[part].numpy()).cosine >= ALIKE[precision]:
            return f"The first part whose output differs is {part.replace('_', ' ')}."
    return (
        "Exported by themselves, all parts of the backbone agree: either what follows it differs, or the file is no "
        "export of this model (its weights, its channel order or its scale were changed)."
    )


class Parts(nn.Module):
    """(B, 3, H, W) float32 RGB, 0-255 -> the map of every part of the backbone, in order."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = [self.backbone.stem(images)]
        for stage in self.backbone.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)
