"""PyTorch itself as a runtime, in eager mode."""

import torch
from torch import Tensor, nn

from mobilevit.spec import ModelSpec

# Of the images that a CPU takes at a time, eight of 256 x 256: more of them leave the caches. Measured on two cores,
# mobilevit_xxs at 256 px, images a second: 38 one by one, 55 by four, 56 by eight, 39 by sixteen, 36 by 32.
CPU_PIXELS = 8 * 256 * 256


class TorchRunner:
    """Runs a program (images to named outputs) on a device. The program is moved there, in evaluation mode."""

    def __init__(self, program: nn.Module, spec: ModelSpec, device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self.program = program.to(device).eval()

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            parts = [self._run(part) for part in torch.split(images, self._at_a_time(images))]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        outputs = self.program(images.to(self.device, non_blocking=True))
        return {name: (v.float() if v.is_floating_point() else v).cpu() for name, v in outputs.items()}

    def _at_a_time(self, images: Tensor) -> int:
        count, _, height, width = images.shape
        return max(1, CPU_PIXELS // (height * width)) if self.device.type == "cpu" else count
