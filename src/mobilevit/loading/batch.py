"""From a sample's Key to a batch, and from a batch of 8-bit images to the model's input."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobilevit.spec import ChannelOrder


@dataclass(frozen=True, slots=True)
class Key:
    """A sampler's request to the loader: everything random about a sample follows from it and the seed."""

    index: int
    epoch: int
    image_size: int


@dataclass(frozen=True, slots=True)
class Item:
    """One transformed sample: (3, H, W) RGB, the target as the task sees it, and its index in the split."""

    image: NDArray[np.uint8]
    target: Any
    index: int


@dataclass(frozen=True, slots=True)
class Batch:
    """(B, 3, H, W) uint8 RGB, targets (collated by the task to train on, a list to evaluate), (B,) int64 indices."""

    images: Tensor
    targets: Any
    indices: Tensor

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; the loader asks for it where it is for a GPU."""
        targets = self.targets if isinstance(self.targets, list) else self.targets.pin_memory()
        return replace(self, images=self.images.pin_memory(), targets=targets)


def prepare(images: Tensor, channel_order: ChannelOrder, dtype: torch.dtype = torch.float32) -> Tensor:
    """(B, 3, H, W) uint8 RGB to the model's input: 0-1, in its channel order, channels last, on the same device."""
    assert images.dtype == torch.uint8, f"images are uint8, not {images.dtype}"
    ordered = images.flip(1) if channel_order == "bgr" else images
    return ordered.to(dtype, memory_format=torch.channels_last).div_(255)
