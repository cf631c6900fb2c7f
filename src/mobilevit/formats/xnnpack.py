"""What the two runtimes over XNNPACK are told in operations that it has: they would find worse ones themselves."""

from collections.abc import Callable

import torch
from torch import Tensor


def attention(query: Tensor, key: Tensor, value: Tensor, *, scale: float) -> Tensor:
    """In two products, of tensors of rank three; folded queries have the scale in them.

    Left to itself the fused operation becomes 72 others outside XNNPACK in ExecuTorch (134 ms against 88), and in
    LiteRT scales queries and keys.
    """
    assert scale == 1
    scores = torch.bmm(query.flatten(0, 1), key.flatten(0, 1).transpose(1, 2))
    return torch.bmm(scores.softmax(dim=-1), value.flatten(0, 1)).reshape_as(query)


def layer_norm_by(variance: Callable[[Tensor, int, float], Tensor]) -> Callable[..., Tensor]:
    """The LayerNorm of folded tokens: their mean is zero, and scale and shift are elsewhere (`models.fuse.fold_norms`).

    `variance` is the mean of the squares along the last axis, which stays, plus a number; it gets that axis's length.
    """

    def layer_norm(
        x: Tensor, shape: list[int], weight: None = None, bias: None = None, eps: float = 1e-5, _cudnn: bool = True
    ) -> Tensor:
        assert len(shape) == 1 and weight is bias is None
        return x * variance(x, shape[0], eps).rsqrt()

    return layer_norm
