"""The attention of a pixel: its weights, and where they are put back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mobilevit.explanation.attention import BlockRecord, recording
from mobilevit.models.mobilevit import MobileViT, MobileViTBlock
from mobilevit.models.patches import fold, unfold
from mobilevit.models.transformer import Attention
from mobilevit.models.variants import XXS

SHARES = st.floats(0, 1)


@pytest.fixture(scope="module")
def model() -> MobileViT:
    torch.manual_seed(0)
    model = MobileViT(XXS, num_classes=5).eval()
    for module in model.modules():
        if isinstance(module, Attention):  # fresh attention is nearly even: make it choose
            nn.init.normal_(module.qkv.weight, std=0.4)
    return model


def record(model: nn.Module, height: int, width: int) -> list[BlockRecord]:
    with recording(model) as records, torch.no_grad():
        model(torch.rand(1, 3, height, width))
    return records


def test_every_block_and_layer_is_recorded_and_the_hooks_are_gone(model: MobileViT) -> None:
    records = record(model, 64, 64)
    model(torch.rand(1, 3, 96, 96))
    assert [len(r.layers) for r in records] == list(XXS.depths)
    assert [r.map_size for r in records] == [(8, 8), (4, 4), (2, 2)]


def test_a_second_image_replaces_the_first(model: MobileViT) -> None:
    with recording(model) as records, torch.no_grad():
        model(torch.rand(1, 3, 64, 64))
        model(torch.rand(1, 3, 96, 64))
    assert [len(r.layers) for r in records] == list(XXS.depths)
    assert records[0].map_size == (12, 8)


@settings(max_examples=30, deadline=None)
@given(x=SHARES, y=SHARES)
@pytest.mark.parametrize("size", [(64, 96), (224, 160)])  # the second is resized inside blocks 3 (7 x 5 -> 8 x 6)
def test_each_layer_sums_to_one_over_exactly_the_pixels_at_the_same_place(
    records_by_size: dict[tuple[int, int], list[BlockRecord]], size: tuple[int, int], x: float, y: float
) -> None:
    for block in records_by_size[size]:
        seen = block.at(x, y)
        height, width = seen.seen.shape
        congruent = torch.zeros(height, width, dtype=torch.bool)
        congruent[seen.row % 2 :: 2, seen.column % 2 :: 2] = True
        assert torch.equal(seen.seen, congruent)
        assert ((seen.weights > 0) == congruent).all()
        torch.testing.assert_close(seen.weights.sum(dim=(1, 2)), torch.ones(len(block.layers)))


@pytest.fixture(scope="module")
def records_by_size(model: MobileViT) -> dict[tuple[int, int], list[BlockRecord]]:
    return {size: record(model, *size) for size in [(64, 96), (224, 160)]}


@settings(max_examples=30, deadline=None)
@given(x=SHARES, y=SHARES)
def test_a_weight_lies_where_the_facts_put_its_token(model: MobileViT, x: float, y: float) -> None:
    """U[p, r * W/2 + c] = F[2r + i, 2c + j] with p = 2i + j, for every patch n = (r, c), by plain loops."""
    torch.manual_seed(1)
    block = record(model, 64, 96)[0]
    shown = block.at(x, y)
    i, j = shown.row % 2, shown.column % 2
    for layer, (attention, tokens) in enumerate(block.layers):
        matrix = attention.weights(tokens)[2 * i + j].mean(dim=0)  # (N, N) of the sequence p, mean over the heads
        row = matrix[shown.row // 2 * 6 + shown.column // 2]
        for r in range(4):
            for c in range(6):
                assert shown.weights[layer, 2 * r + i, 2 * c + j] == row[r * 6 + c]


def test_only_the_seen_pixels_reach_the_mixed_value_of_the_chosen_one(model: MobileViT) -> None:
    """By autograd through unfold, attention and fold: nothing of this package's explanation takes part."""
    block = next(m for m in model.modules() if isinstance(m, MobileViTBlock))
    attention = next(m for m in block.modules() if isinstance(m, Attention))
    shown = record(model, 64, 96)[0].at(0.4, 0.8)
    pixels = torch.randn(1, XXS.dims[0], 8, 12, requires_grad=True)
    mixed = fold(attention(unfold(pixels, 2, 2)), 2, 2, 8, 12)
    mixed[0, :, shown.row, shown.column].square().sum().backward()
    assert pixels.grad is not None
    assert torch.equal(pixels.grad[0].abs().sum(dim=0) > 0, shown.seen)


def test_the_pixel_is_marked_where_the_user_points(model: MobileViT) -> None:
    block = record(model, 64, 96)[0]
    corners = [(0.0, 0.0, 0, 0), (1.0, 1.0, 7, 11), (0.5, 0.5, 4, 6), (0.49, 0.0, 0, 5)]
    for x, y, row, column in corners:
        assert (block.at(x, y).row, block.at(x, y).column) == (row, column)


@pytest.mark.parametrize("patch_sizes", [(8, 4, 2), (1, 1, 1), (3, 3, 3)])
def test_other_patch_sizes(patch_sizes: tuple[int, int, int]) -> None:
    model = MobileViT(XXS, num_classes=5, patch_sizes=patch_sizes).eval()
    for block, p in zip(record(model, 128, 128), patch_sizes, strict=True):
        shown = block.at(0.9, 0.2)
        height, width = shown.seen.shape
        assert height % p == width % p == 0
        assert shown.seen.sum() == height * width / p**2
        assert weights_are_a_share(shown.weights)


def weights_are_a_share(weights: Tensor) -> bool:
    return torch.allclose(weights.sum(dim=(1, 2)), torch.ones(len(weights))) and bool((weights >= 0).all())
