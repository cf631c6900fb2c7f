"""DeepLabv3: its pyramid, its outputs in training and in use, and how it starts."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from mobilevit.models.deeplabv3 import AtrousPyramid
from mobilevit.models.layers import ReLU, SiLU
from mobilevit.models.table import build


@pytest.mark.parametrize(("height", "width"), [(32, 32), (47, 65), (64, 96)])
@pytest.mark.parametrize("name", ["deeplabv3_mobilevit_xxs", "deeplabv3_mobilevit_s_os8"])
def test_every_pixel_gets_its_classes(name: str, height: int, width: int) -> None:
    with torch.inference_mode():
        output = build(name, 4).eval()(torch.rand(2, 3, height, width))
    assert output.logits.shape == (2, 4, height, width)
    assert output.auxiliary is None


def test_the_auxiliary_head_speaks_in_training_and_where_there_is_one() -> None:
    images = torch.rand(2, 3, 64, 96)
    assert build("deeplabv3_mobilevit_xxs", 4)(images).auxiliary is None
    fine = build("deeplabv3_mobilevit_s_os8", 4)
    assert fine(images).auxiliary.shape == (2, 4, 8, 12)
    assert fine.eval()(images).auxiliary is None
    assert sum(parameter.numel() for parameter in fine.auxiliary.parameters()) == 3 * 3 * 128 * 128 + 256 + 4 * 129


@pytest.mark.parametrize(("rates", "reach"), [((1, 2, 3), 3), ((6, 12, 18), 18)])
def test_the_pyramid_sees_as_far_as_its_widest_rate_and_all_of_it_a_little(rates: Any, reach: int) -> None:
    torch.manual_seed(0)  # and channels enough that no branch's ReLUs are all off
    pyramid = AtrousPyramid(4, 64, rates).double().eval()
    x = torch.rand(1, 4, 41, 41, dtype=torch.float64, requires_grad=True)
    pyramid(x)[0, :, 20, 20].sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum(dim=(0, 1))
    assert bool((seen > 0).all())  # by the mean
    strong = ((seen / seen.median() - 1).abs() > 1e-6).nonzero() - 20  # all else is seen by the mean alone, evenly
    assert {abs(int(distance)) for distance in strong.flatten()} == {0, *rates} and int(strong.max()) == reach


def test_dropouts_are_the_official_ones() -> None:
    """Of values and then of channels; the later version drops whole channels both times."""
    kinds = {"deeplabv3_mobilevit_xxs": ["Dropout", "Dropout2d"], "deeplabv3_mobilevit_s_os8": ["Dropout2d"] * 2}
    for name, expected in kinds.items():
        dropout = build(name, 21).dropout
        assert [type(part).__name__ for part in dropout] == expected
        assert [part.p for part in dropout] == [0.1, 0.1]


def test_starts_as_the_backbone_does_and_activates_with_relu() -> None:
    torch.manual_seed(0)
    model = build("deeplabv3_mobilevit_xs", 21)
    for module in model.pyramid.modules():
        if isinstance(module, nn.Conv2d):
            expected = math.sqrt(2 / (module.out_channels * module.kernel_size[0] ** 2))
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.05)
        assert not isinstance(module, SiLU)
    assert sum(isinstance(module, ReLU) for module in model.pyramid.modules()) == 6
    assert not model.classifier.bias.any()
