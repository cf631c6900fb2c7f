"""The pre-norm transformer layer, written once for MobileViT and for the standard ViT."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention, softmax(Q K^T / sqrt(d / heads)) V. (S, N, d) -> (S, N, d).

    The fused kernel, by measurement (CPU, benchmarks/eager.py): 5 % of an image's time, a third of the time of
    attention in training at 256 px, and no (N, N) map in memory. Most runtimes take it or split it well; for one that
    does not (ExecuTorch: 134 ms against 88), decompose the captured program into the two products of `weights`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self._split(x)
        mixed = F.scaled_dot_product_attention(query, key, value, scale=self.scale)
        return self.proj(mixed.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]

    def weights(self, x: Tensor) -> Tensor:
        """Who attends to whom: (S, N, d) -> (S, heads, N, N); rows sum to one."""
        query, key, _ = self._split(x)
        scores: Tensor = (query * self.scale) @ key.transpose(-2, -1)
        return scores.softmax(dim=-1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value, each (S, heads, N, d / heads)."""
        sequences, tokens, dim = x.shape
        qkv = self.qkv(x).reshape(sequences, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        return qkv[0], qkv[1], qkv[2]


class FeedForward(nn.Module):
    """Two linear layers with an activation between. (S, N, d) -> (S, N, d)."""

    def __init__(self, dim: int, hidden: int, activation: nn.Module) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden)
        self.activation = activation
        self.reduce = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(self.activation(self.expand(x)))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x)), with dropout on both branches. (S, N, d) -> (S, N, d)."""

    def __init__(
        self, dim: int, heads: int, hidden: int, activation: nn.Module, *, dropout: float = 0.0, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attention = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.feed_forward = FeedForward(dim, hidden, activation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.feed_forward(self.norm2(x)))  # type: ignore[no-any-return]
