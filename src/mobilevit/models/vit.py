"""The standard vision transformer of the paper's figure (a), as DeiT-Tiny, to compare MobileViT with."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mobilevit.models.transformer import EncoderLayer


@dataclass(frozen=True)
class ViTVariant:
    """One size of the standard ViT."""

    dim: int
    depth: int
    heads: int
    patch_px: int = 16


DEIT_TINY = ViTVariant(dim=192, depth=12, heads=3)


class ViT(nn.Module):
    """(B, 3, image_size, image_size), 0-1 -> (B, num_classes) logits, or (B, dim) where `num_classes` is 0.

    Unlike MobileViT it has position embeddings, so its image size is fixed when it is built.
    """

    def __init__(self, variant: ViTVariant, num_classes: int = 1000, *, image_size: int = 224) -> None:
        super().__init__()
        dim, patch_px = variant.dim, variant.patch_px
        patches = (image_size // patch_px) ** 2
        self.patch_embedding = nn.Conv2d(3, dim, patch_px, stride=patch_px)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.positions = nn.Parameter(torch.zeros(1, patches + 1, dim))
        layers = [EncoderLayer(dim, variant.heads, 4 * dim, nn.GELU(), norm_eps=1e-6) for _ in range(variant.depth)]
        self.transformer = nn.Sequential(*layers, nn.LayerNorm(dim, eps=1e-6))
        self.classifier = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        for parameter in (self.class_token, self.positions):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patch_embedding(x).flatten(2).transpose(1, 2)  # (B, N, dim)
        tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1) + self.positions
        return self.classifier(self.transformer(tokens)[:, 0])  # type: ignore[no-any-return]
