"""From 8-bit images to named outputs in one module: what is evaluated and used for predictions."""

import torch
from torch import Tensor, nn

from mobilevit.loading.batch import prepare
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import Task
from mobilevit.tasks.outputs import not_finite


class Program(nn.Module):
    """(B, 3, H, W) uint8 RGB -> outputs by name; the channel order of the model is its own business.

    WeightsError where they are not finite.
    """

    def __init__(self, model: nn.Module, spec: ModelSpec, task: Task) -> None:
        super().__init__()
        self.model = model
        self.channel_order = spec.preprocessing.channel_order
        self.postprocess = task.postprocess

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        raw = self.model(prepare(images, self.channel_order))
        outputs = self.postprocess(raw)
        # of both: the class of a pixel is an integer, whatever its logits are
        tensors = raw if isinstance(raw, tuple) else (raw,)
        if not all(torch.isfinite(tensor).all() for tensor in (*outputs.values(), *tensors) if tensor is not None):
            raise not_finite()
        return outputs
