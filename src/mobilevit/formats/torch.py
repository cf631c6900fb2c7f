"""PyTorch itself as a runtime, in eager mode."""

import os
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from mobilevit.spec import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

# Of the images that a CPU takes at a time, eight of 256 x 256: more of them leave the caches. Measured on two cores,
# mobilevit_xxs at 256 px, images a second: 38 one by one, 55 by four, 56 by eight, 39 by sixteen, 36 by 32.
CPU_PIXELS = 8 * 256 * 256


class TorchRunner:
    """Runs a program (images to named outputs) on a device. The program is moved there, in evaluation mode."""

    def __init__(self, program: "nn.Module", spec: ModelSpec, device: "torch.device") -> None:
        self.spec = spec
        self.device = device
        self.program = program.to(device).eval()

    def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Images in page-locked memory reach a GPU while it computes."""
        import torch

        with torch.inference_mode():
            parts = [self._run(part) for part in torch.split(torch.from_numpy(images), self._at_a_time(images.shape))]
            return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}

    def _run(self, images: "Tensor") -> "dict[str, Tensor]":
        outputs = self.program(images.to(self.device, non_blocking=True))
        return {name: (v.float() if v.is_floating_point() else v).cpu() for name, v in outputs.items()}

    def _at_a_time(self, shape: tuple[int, ...]) -> int:
        count, _, height, width = shape
        return max(1, CPU_PIXELS // (height * width)) if self.device.type == "cpu" else count


def without_lost_threads() -> None:
    """In a process that was forked torch goes on with one thread: the others stayed behind, and it would wait for them
    for ever."""
    if os.getpid() != LOADED_BY and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


LOADED_BY = os.getpid()


def is_torch_model(model: object) -> "TypeGuard[nn.Module]":
    """Whether it is an nn.Module, which there is none of where torch was never imported."""
    return "torch" in sys.modules and isinstance(model, sys.modules["torch"].nn.Module)
