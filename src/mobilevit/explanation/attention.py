"""What one pixel attends to inside each MobileViT block, put back where it lies in the image.

A block cuts its map into patches, and a pixel attends to the pixels at its own place in every patch, to no others
(paper, section 3.1). So a row of attention weights, over N patches, belongs on every p-th row and column of the map,
and is zero between. `unfold` is asked where that is, and `fold` puts it there: no second formula can disagree.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mobilevit.models.mobilevit import MobileViTBlock
from mobilevit.models.patches import fold, unfold
from mobilevit.models.transformer import Attention


@dataclass(frozen=True)
class PixelAttention:
    """The attention of one pixel in one block, over the map that the block's transformers see."""

    weights: Tensor  # (layers, H, W) mean over the heads; each layer sums to one
    seen: Tensor  # (H, W) bool: the pixels at the same place in their patch; the weights are zero elsewhere
    row: int  # of the pixel, in the map
    column: int
    patch_size: int
    map_size: tuple[int, int]  # height and width of the block's own map; differs from (H, W) where it is resized


@dataclass
class BlockRecord:
    """What the attention layers of one block read in the last forward pass (of a single image)."""

    patch_size: int
    map_size: tuple[int, int] = (0, 0)
    layers: list[tuple[Attention, Tensor]] = field(default_factory=list)  # each with its input (P, N, d)

    @torch.no_grad()
    def at(self, x: float, y: float) -> PixelAttention:
        """The attention of the pixel at `x` from the left and `y` from the top of the image, both 0-1."""
        p = self.patch_size
        height, width = (math.ceil(side / p) * p for side in self.map_size)
        row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
        sequence, patch = _address(row, column, p, height, width)
        weights = [
            _place(
                attention.weights(tokens[sequence : sequence + 1])[0, :, patch].mean(dim=0), sequence, p, height, width
            )
            for attention, tokens in self.layers
        ]
        seen = _place(torch.ones(height * width // p**2), sequence, p, height, width) > 0
        return PixelAttention(torch.stack(weights), seen, row, column, p, self.map_size)


def _address(row: int, column: int, patch_size: int, height: int, width: int) -> tuple[int, int]:
    """The sequence that holds a pixel of the map, and its position in it."""
    marked = torch.zeros(1, 1, height, width)
    marked[0, 0, row, column] = 1
    sequence, patch, _ = unfold(marked, patch_size, patch_size).nonzero()[0].tolist()
    return sequence, patch


def _place(values: Tensor, sequence: int, patch_size: int, height: int, width: int) -> Tensor:
    """(N,) values of one sequence -> (height, width), zero at the pixels of the other sequences."""
    tokens = values.new_zeros(patch_size**2, len(values), 1)
    tokens[sequence, :, 0] = values
    return fold(tokens, patch_size, patch_size, height, width)[0, 0].cpu()


@contextmanager
def recording(model: nn.Module) -> Iterator[list[BlockRecord]]:
    """Within it, a forward pass of one image (1, 3, H, W) fills one record for each MobileViT block, in order."""
    blocks = [module for module in model.modules() if isinstance(module, MobileViTBlock)]
    records = [BlockRecord(block.patch_size) for block in blocks]
    with ExitStack() as hooks:
        for block, record in zip(blocks, records, strict=True):
            for handle in _watch(block, record):
                hooks.callback(handle.remove)
        yield records


def _watch(block: MobileViTBlock, record: BlockRecord) -> Iterator[Any]:
    def enter(_block: nn.Module, inputs: tuple[Tensor]) -> None:
        assert len(inputs[0]) == 1, "one image at a time"
        record.map_size = (inputs[0].shape[2], inputs[0].shape[3])
        record.layers.clear()

    def read(attention: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(attention, Attention)
        record.layers.append((attention, inputs[0].detach()))

    yield block.register_forward_pre_hook(enter)
    for module in block.modules():
        if isinstance(module, Attention):
            yield module.register_forward_pre_hook(read)
