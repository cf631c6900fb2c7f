"""Laws of folding: the same function, with less to do for each image."""

import pytest
import torch
from torch import Tensor, nn

from mobilevit.models.fuse import fold_norms, fuse
from mobilevit.models.table import build

IMAGES = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)  # resized inside


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """In double precision; every norm and every bias does something."""
    torch.manual_seed(0)
    model = build("mobilevit_xxs", 10).double().eval()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
        if isinstance(getattr(module, "bias", None), Tensor):
            nn.init.normal_(module.bias)
    return model


@torch.no_grad()
def test_folding_changes_nothing(model: nn.Module) -> None:
    expected = model(IMAGES)
    for folded in (fold_norms(model), fuse(model), fuse(fold_norms(model)), fold_norms(fold_norms(model))):
        torch.testing.assert_close(folded(IMAGES), expected, rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_folded_tokens_need_neither_centering_nor_scale(model: nn.Module) -> None:
    folded = fold_norms(model)
    norms = [module for module in folded.modules() if isinstance(module, nn.LayerNorm)]
    means: list[float] = []
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, inputs: means.append(float(inputs[0].mean(dim=-1).abs().max())))
    folded(IMAGES)
    assert len(means) == len(norms) == 21
    assert max(means) < 1e-12
    assert all(norm.weight is norm.bias is None for norm in norms)
