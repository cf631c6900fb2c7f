"""Formats that a model can run in. Each opens as a Runner; whoever runs one need not know which it is."""

from typing import Protocol

from torch import Tensor

from mobilevit.spec import ModelSpec


class Runner(Protocol):
    """A model that is ready to run: images in, named outputs out."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) uint8 RGB, wherever it lies -> the task's outputs in float32, or in integers, on the CPU."""
        ...
