"""The exact function: outputs of the official code (tag cvnets-v0.1, float64) to every printed decimal.

golden_v1.json holds the shape, the first five values, the mean and the norm of each, anchors_320.json the anchors by
level and boxes decoded from them; facts, measured on that code.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import official
import pytest
import torch
from torch import Tensor, nn

from mobilevit import boxes
from mobilevit.models.fuse import fuse
from mobilevit.models.ssdlite import SSDOutput
from mobilevit.models.table import MODELS, build, for_task, resolve
from mobilevit.tasks.detection import box_tensors

GOLDEN = json.loads(Path(__file__).with_name("golden_v1.json").read_text())
ANCHORS = json.loads(Path(__file__).with_name("anchors_320.json").read_text())
PARAMETERS = {
    "mobilevit_xxs": 1272024,
    "mobilevit_xs": 2317848,
    "mobilevit_s": 5578632,
    "ssdlite_mobilevit_xxs": 1755050,
    "ssdlite_mobilevit_xs": 2742042,
    "ssdlite_mobilevit_s": 5738826,
    "deeplabv3_mobilevit_xxs": 1854853,
    "deeplabv3_mobilevit_xs": 2944069,
    "deeplabv3_mobilevit_s": 6357941,
    "deeplabv3_mobilevit_s_os8": 8687690,
}


@cache
def loaded(architecture: str, *, fused: bool) -> nn.Module:
    if fused:
        return fuse(loaded(architecture, fused=False))
    num_classes = official.num_classes(architecture)
    model = build(architecture, num_classes).double().eval()
    model.load_state_dict(official.state(architecture, num_classes))
    return model


def plain_and_fused(cases: Sequence[str]) -> list[Any]:
    """Folding is the same for models of every size: in `make test` the smallest of each task shows it."""
    return [pytest.param(case, False, id=f"{case}-plain") for case in cases] + [
        pytest.param(case, True, id=f"{case}-fused", marks=[] if "xx_small" in case else [pytest.mark.system])
        for case in cases
    ]


SIZES = ("xx_small", "x_small", "small")


@pytest.mark.parametrize(("case", "fused"), plain_and_fused([case for case in GOLDEN if case.startswith("cls_")]))
def test_equals_the_official_classifier(case: str, fused: bool) -> None:
    """A case is cls_SIZE_HEIGHTxWIDTH, the logits, or that and _out_lN, the output of stage N."""
    name, _, stage = case.removeprefix("cls_").partition("_out_l")
    size, _, extent = name.rpartition("_")
    model = loaded(resolve(size), fused=fused)
    image = official.image(*map(int, extent.split("x")))
    with torch.inference_mode():
        output = model.backbone.pyramid(image)[int(stage) - 1] if stage else model(image)  # type: ignore
    _assert_equals(output, case)


@pytest.mark.parametrize(("size", "fused"), plain_and_fused(SIZES))
def test_equals_the_official_detector(size: str, fused: bool) -> None:
    output = _detected(size, fused)
    _assert_equals(output.scores, f"ssdlite_{size}_320_scores")
    _assert_equals(output.locations, f"ssdlite_{size}_320_locs")


@pytest.mark.parametrize(("size", "fused"), plain_and_fused(SIZES))
def test_equals_the_official_segmenter(size: str, fused: bool) -> None:
    model = loaded(for_task(size, "segmentation"), fused=fused)
    with torch.inference_mode():
        output = model(official.image(512, 512))
    _assert_equals(output.logits, f"deeplabv3_{size}_512")
    assert output.auxiliary is None


def test_every_anchor_is_the_official_one() -> None:
    """Within a level each place has the same sizes, so the sums, the first and the last leave nothing open."""
    anchors, levels = _detected("xx_small", False).anchors, ANCHORS["levels"]
    assert anchors.sum(dim=0).tolist() == pytest.approx(ANCHORS["sum"], abs=1e-5)
    for part, level in zip(anchors.split([level["count"] for level in levels]), levels, strict=True):
        assert part.sum(dim=0).tolist() == pytest.approx(level["sum"], abs=1e-5), level["level"]
        assert part[0].tolist() == pytest.approx(level["first"], abs=6e-7)
        assert part[-1].tolist() == pytest.approx(level["last"], abs=6e-7)


def test_decoded_boxes_are_the_official_ones() -> None:
    output, golden = _detected("xx_small", False), ANCHORS["decoded_ssdlite_xx_small_320"]
    for decoded in (
        boxes.decode(output.locations[0].numpy(), output.anchors.numpy()),
        box_tensors.decode(output.locations[0], output.anchors).numpy(),
    ):
        assert decoded.sum(axis=0).tolist() == pytest.approx(golden["sum"], abs=2e-5)
        for box, expected in zip(decoded.tolist(), golden["first5"], strict=False):
            assert box == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("architecture", MODELS)
def test_parameters(architecture: str) -> None:
    model = build(architecture, official.num_classes(architecture))
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[architecture]


@cache
def _detected(size: str, fused: bool) -> SSDOutput:
    with torch.inference_mode():
        output: SSDOutput = loaded(for_task(size, "detection"), fused=fused)(official.image(320, 320))
    return output


def _assert_equals(output: Tensor, case: str) -> None:
    expected = GOLDEN[case]
    assert list(output.shape) == expected["shape"]
    assert output.flatten()[:5].tolist() == pytest.approx(expected["first5"], abs=5.1e-9, rel=0)
    assert float(output.mean()) == pytest.approx(expected["mean"], abs=5.1e-11, rel=0)
    assert float(output.norm()) == pytest.approx(expected["l2"], abs=5.1e-9, rel=0)
