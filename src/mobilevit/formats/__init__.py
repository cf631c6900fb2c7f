"""Formats that a model can run in. Each opens as a Runner; whoever runs one need not know which it is."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobilevit.spec import ModelSpec


class Runner(Protocol):
    """A model that is ready to run: images in, named outputs out."""

    @property
    def spec(self) -> ModelSpec: ...

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """(B, 3, H, W) RGB -> the task's outputs in float32, or in integers."""
        ...
