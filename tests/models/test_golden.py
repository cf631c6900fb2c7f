"""The exact function: outputs of the official code (tag cvnets-v0.1, float64) to every printed decimal.

golden_v1.json holds the shape, the first five values, the mean and the norm of each; facts, measured on that code.
"""

import json
from functools import cache
from pathlib import Path

import official
import pytest
import torch

from mobilevit.models.fuse import fuse
from mobilevit.models.mobilevit import MobileViT
from mobilevit.models.table import build, resolve

GOLDEN = json.loads(Path(__file__).with_name("golden_v1.json").read_text())


@cache
def network(architecture: str) -> MobileViT:
    model = build(architecture, 1000).double().eval()
    model.load_state_dict(official.state(architecture))
    return model


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("case", GOLDEN)
def test_equals_the_official_network(case: str, fused: bool) -> None:
    """A case is cls_SIZE_HEIGHTxWIDTH, the logits, or that and _out_lN, the output of stage N."""
    name, _, stage = case.removeprefix("cls_").partition("_out_l")
    size, _, extent = name.rpartition("_")
    model = network(resolve(size))
    if fused:
        model = fuse(model)
    picture = official.picture(*map(int, extent.split("x")))
    with torch.inference_mode():
        output = model.backbone.pyramid(picture)[int(stage) - 1] if stage else model(picture)
    expected = GOLDEN[case]
    assert list(output.shape) == expected["shape"]
    assert output.flatten()[:5].tolist() == pytest.approx(expected["first5"], abs=5.1e-9, rel=0)
    assert float(output.mean()) == pytest.approx(expected["mean"], abs=5.1e-11, rel=0)
    assert float(output.norm()) == pytest.approx(expected["l2"], abs=5.1e-9, rel=0)


@pytest.mark.parametrize(
    ("architecture", "parameters"), [("mobilevit_xxs", 1272024), ("mobilevit_xs", 2317848), ("mobilevit_s", 5578632)]
)
def test_parameters(architecture: str, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in network(architecture).parameters()) == parameters
