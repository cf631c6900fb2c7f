"""From 8-bit pictures to named outputs in one module: what is evaluated, used for predictions, and exported."""

from torch import Tensor, nn

from mobilevit.data.transforms import prepare
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import Task


class Program(nn.Module):
    """(B, 3, H, W) uint8 RGB -> outputs by name; the channel order of the network is its own business.

    Plain torch without a branch on the data, so that capturing it once captures all of it.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec, task: Task) -> None:
        super().__init__()
        self.network = network
        self.channel_order = spec.preprocessing.channel_order
        self.finish = task.finish

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        return self.finish(self.network(prepare(pictures, self.channel_order)))
