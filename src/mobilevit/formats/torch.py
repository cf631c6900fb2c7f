"""PyTorch itself as a runtime, in eager mode."""

import torch
from torch import Tensor, nn

from mobilevit.spec import ModelSpec


class TorchRunner:
    """Runs a program (pictures to named outputs) on a device. The program is moved there, in evaluation mode."""

    def __init__(self, program: nn.Module, spec: ModelSpec, device: torch.device) -> None:
        self.spec = spec
        self.device = device
        self.program = program.to(device).eval()

    def __call__(self, pictures: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            outputs = self.program(pictures.to(self.device, non_blocking=True))
            return {name: values.float().cpu() for name, values in outputs.items()}
