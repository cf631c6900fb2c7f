"""SSDLite: its levels and anchors, and how it starts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mobilevit.errors import UsageError
from mobilevit.models.anchor_sizes import PAPER_SIZES
from mobilevit.models.anchors import anchors_of
from mobilevit.models.layers import ReLU, SiLU
from mobilevit.models.ssdlite import SSDLite
from mobilevit.models.variants import XXS

SCALES = (0.1, 0.258333, 0.416667, 0.575, 0.733333, 0.891667, 1.05)  # as the official code prints them


def test_the_papers_anchors() -> None:
    """Both squares, then for each ratio the wide and the tall one of the smaller square's area."""
    for sizes, small, large, ratios in zip(PAPER_SIZES, SCALES, SCALES[1:], [(2, 3)] * 5 + [(2,)], strict=False):
        mean = math.sqrt(small * large)
        assert sizes[:2] == (pytest.approx((small, small), abs=1e-6), pytest.approx((mean, mean), abs=1e-6))
        oblong = [ratio for ratio in ratios for _ in "wt"]
        for (width, height), ratio, wide in zip(sizes[2:], oblong, [True, False] * 2, strict=False):
            assert width * height == pytest.approx(small * small, abs=1e-6)
            assert width / height == pytest.approx(ratio if wide else 1 / ratio)
    assert [len(sizes) for sizes in PAPER_SIZES] == [6, 6, 6, 6, 6, 4]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=6, max_size=6))
def test_each_anchor_lies_where_the_formula_says(extents: list[tuple[int, int]]) -> None:
    """Row by row, at each position the sizes in order; center form, clamped element by element."""
    maps = [torch.empty(1, 1, height, width, dtype=torch.float64) for height, width in extents]
    expected = [
        [min(max(value, 0.0), 1.0) for value in ((x + 0.5) / width, (y + 0.5) / height, w, h)]
        for (height, width), sizes in zip(extents, PAPER_SIZES, strict=True)
        for y in range(height)
        for x in range(width)
        for w, h in sizes
    ]
    torch.testing.assert_close(anchors_of(PAPER_SIZES, maps), torch.tensor(expected, dtype=torch.float64))


@settings(deadline=None, max_examples=10)
@given(st.integers(32, 200), st.integers(32, 200))
def test_scores_locations_and_anchors_belong_together(height: int, width: int) -> None:
    with torch.inference_mode():
        scores, locations, anchors = SSDLite(XXS, 3).eval()(torch.rand(2, 3, height, width))
    assert scores.shape == (2, len(anchors), 4)
    assert locations.shape == (2, len(anchors), 4) and anchors.shape == (len(anchors), 4)
    assert anchors.dtype == torch.float32 and anchors.min() >= 0 and anchors.max() <= 1


def test_a_position_of_the_first_level_speaks_for_its_own_anchors() -> None:
    """What is changed at one place of the image changes mostly the anchors there: the order is one and the same."""
    torch.manual_seed(0)
    model, image = SSDLite(XXS, 3).double().eval(), torch.rand(1, 3, 320, 320, dtype=torch.float64)
    changed = image.clone()
    changed[..., 16 * 4 : 16 * 5, 16 * 13 : 16 * 14] += 1  # row 4, column 13 of the first map
    with torch.inference_mode():
        before, after = model(image), model(changed)
    difference = (after.scores - before.scores).abs().sum(dim=(0, 2))[:2400].reshape(400, 6).sum(dim=1)
    place = int(difference.argmax())
    assert abs(place // 20 - 4) <= 1 and abs(place % 20 - 13) <= 1
    assert before.anchors[6 * (4 * 20 + 13), :2].tolist() == pytest.approx([13.5 / 20, 4.5 / 20])


def test_anchors_are_never_of_half_precision() -> None:
    """Ten bits of mantissa would merge the anchors of neighbors at the far side of a large image."""
    maps = [torch.empty(1, 1, 2, 2, dtype=torch.float16)] * 6
    assert anchors_of(PAPER_SIZES, maps).dtype == torch.float32
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert SSDLite(XXS, 3).eval()(torch.rand(1, 3, 64, 64)).anchors.dtype == torch.float32


def test_other_anchors_change_the_anchors_alone() -> None:
    torch.manual_seed(0)
    own = tuple(tuple((w / 2, h / 3) for w, h in sizes) for sizes in PAPER_SIZES)
    model, other = SSDLite(XXS, 3).eval(), SSDLite(XXS, 3, anchors=own).eval()
    other.load_state_dict(model.state_dict())
    image = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        paper, mine = model(image), other(image)
    assert torch.equal(paper.scores, mine.scores) and torch.equal(paper.locations, mine.locations)
    assert torch.equal(paper.anchors[:, :2], mine.anchors[:, :2])
    assert mine.anchors[0, 2:].tolist() == pytest.approx([0.05, 0.1 / 3])


@pytest.mark.parametrize("side", [0.0, -1.0, float("nan"), float("inf"), 9.0])
def test_anchors_that_cannot_be_are_misuse(side: float) -> None:
    with pytest.raises(UsageError, match="6, 6, 6, 6, 6, 4 pairs"):
        SSDLite(XXS, 3, anchors=(*PAPER_SIZES[:5], (*PAPER_SIZES[5][:3], (0.5, side))))


def test_starts_as_the_official_code_does() -> None:
    """Behind the backbone: Xavier's uniform distribution, sqrt(6 / (fan in + fan out)), biases 0; and ReLU."""
    torch.manual_seed(0)
    model = SSDLite(XXS, 80)
    for part in (model.extras, model.heads):
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                positions = module.kernel_size[0] ** 2
                fans = positions * (module.in_channels // module.groups + module.out_channels)
                limit = math.sqrt(6 / fans)
                assert float(module.weight.detach().abs().max()) == pytest.approx(limit, rel=0.02)
                assert module.bias is None or not module.bias.any()
            assert not isinstance(module, SiLU)
    assert not any(isinstance(module, ReLU) for module in model.backbone.modules())
    deviation = float(model.backbone.stem.conv.weight.detach().std())  # type: ignore[union-attr,operator]
    assert deviation == pytest.approx(math.sqrt(2 / (16 * 9)), rel=0.15)  # the backbone starts as a classifier's
