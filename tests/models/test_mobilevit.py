"""What the model promises beside its numbers: shapes, strides, what each pixel sees, how it starts."""

import math

import pytest
import torch
from torch import nn

from mobilevit.errors import UsageError
from mobilevit.models.layers import make_divisible
from mobilevit.models.mobilevit import Backbone, MobileViT, MobileViTBlock
from mobilevit.models.table import build
from mobilevit.models.variants import XXS
from mobilevit.models.vit import DEIT_TINY, ViT


def block(patch_size: int = 2, *, fuse_input: bool = True) -> MobileViTBlock:
    return MobileViTBlock(8, 12, 2, 4, patch_size=patch_size, fuse_input=fuse_input, dropout=0.0).double().eval()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10), (7, 9)])
@pytest.mark.parametrize("patch_size", [2, 3])
def test_one_output_pixel_sees_every_input_pixel(height: int, width: int, patch_size: int) -> None:
    """The effective receptive field of a block is the whole map (paper, section 3.1)."""
    torch.manual_seed(0)
    x = torch.randn(1, 8, height, width, dtype=torch.float64, requires_grad=True)
    block(patch_size)(x)[0, :, height // 2, width // 3].sum().backward()
    assert x.grad is not None
    assert bool((x.grad.abs().sum(dim=(0, 1)) > 0).all())


@pytest.mark.parametrize(
    ("output_stride", "sides", "dilations"),
    [(32, [64, 32, 16, 8, 4], [1, 1, 1]), (16, [64, 32, 16, 8, 8], [1, 1, 1]), (8, [64, 32, 16, 16, 16], [1, 1, 2])],
)
def test_output_strides(output_stride: int, sides: list[int], dilations: list[int]) -> None:
    backbone = Backbone(XXS, output_stride=output_stride).eval()
    assert [tuple(level.shape[1:]) for level in backbone.pyramid(torch.rand(1, 3, 128, 128))] == [
        (channels, side, side) for channels, side in zip(XXS.channels[1:], sides, strict=True)
    ]
    assert [stage[0].depthwise.conv.dilation[0] for stage in backbone.stages[2:]] == dilations
    assert all(stage[1].local.conv.dilation == (1, 1) for stage in backbone.stages[2:])


def test_no_classes_give_pooled_features() -> None:
    model = build("mobilevit_xs", 0).eval()
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model(images), model.final(model.backbone(images)).mean(dim=(2, 3)))


@pytest.mark.parametrize("patch_sizes", [(2, 2, 2), (3, 3, 3), (4, 4, 4), (8, 4, 2)])
@pytest.mark.parametrize("fuse_input", [True, False])
def test_ablations_change_the_function_and_train(patch_sizes: tuple[int, int, int], fuse_input: bool) -> None:
    torch.manual_seed(0)
    plain = build("mobilevit_xxs", 5)
    ablated = build("mobilevit_xxs", 5, patch_sizes=patch_sizes, fuse_input=fuse_input)
    ablated.load_state_dict({name: plain.state_dict()[name] for name in ablated.state_dict()})
    images = torch.rand(2, 3, 128, 128)
    same = torch.allclose(ablated.eval()(images), plain.eval()(images), atol=1e-7)
    assert same == (patch_sizes == (2, 2, 2) and fuse_input)
    ablated.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in ablated.parameters())


def test_starts_as_the_paper_says() -> None:
    torch.manual_seed(0)
    model = build("mobilevit_s", 1000)
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            expected = math.sqrt(2 / (module.out_channels * module.kernel_size[0] ** 2))  # depth-wise too
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.08), name
        if isinstance(module, nn.Linear):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.05), name
            assert not module.bias.any()
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            assert bool((module.weight == 1).all())


def test_dropouts_are_the_papers() -> None:
    expected = {"mobilevit_xxs": {0.05, 0.1}, "mobilevit_xs": {0.1}, "mobilevit_s": {0.1}}
    assert {
        name: {m.p for m in build(name, 10).modules() if isinstance(m, nn.Dropout)} for name in expected
    } == expected


def test_standard_vit_is_deit_tiny() -> None:
    model = ViT(DEIT_TINY)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5717416
    assert model.eval()(torch.rand(2, 3, 224, 224)).shape == (2, 1000)
    assert ViT(DEIT_TINY, 0).eval()(torch.rand(1, 3, 224, 224)).shape == (1, 192)


@pytest.mark.parametrize(("value", "expected"), [(32, 32), (33, 32), (36, 40), (3, 8), (11, 16), (100, 104)])
def test_make_divisible(value: int, expected: int) -> None:
    assert make_divisible(value, 8) == expected


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="mobilevit_xs"):
        build("mobilevit_sx", 10)


def test_a_model_can_have_other_dropout_before_the_classifier() -> None:
    assert MobileViT(XXS, 3, classifier_dropout=0.3).dropout.p == 0.3
