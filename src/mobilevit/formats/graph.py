"""What is exported: one module, from an image as every program has it to the outputs of the task."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from mobilevit.spec import ModelSpec


@dataclass(frozen=True)
class Graph:
    """A model that needs no preparation of its input but the resize.

    `module` takes (B, 3, H, W) float32 RGB, 0-255, and returns a tuple: the tensors that `outputs` names, in order.
    """

    module: nn.Module
    outputs: tuple[str, ...]
    spec: ModelSpec
    further_px: tuple[int, ...] = ()  # sides of other squares that the same exported model has to take

    @property
    def image_size(self) -> int:
        """Side of the square images."""
        return self.spec.preprocessing.image_size

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sides of all squares that the exported model has to take, its own first."""
        return (self.image_size, *self.further_px)

    @cached_property
    def example(self) -> Tensor:
        """(1, 3, image_size, image_size) float32, 0-255."""
        return self.example_of(self.image_size)

    def example_of(self, image_size: int) -> Tensor:
        """The same at another size."""
        noise = torch.Generator().manual_seed(0)
        return torch.rand(1, 3, image_size, image_size, generator=noise) * 255

    @cached_property
    def captured(self) -> torch.export.ExportedProgram:
        """The module as torch.export sees it, for one image at a time."""
        with torch.no_grad():
            return torch.export.export(self.module, (self.example,))
