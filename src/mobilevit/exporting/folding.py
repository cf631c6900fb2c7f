"""The network as it is exported: it takes pictures as programs have them, 0-255 and RGB, at no cost."""

from torch import Tensor, nn

from mobilevit.formats.graph import Graph
from mobilevit.inference import at_size
from mobilevit.models.fuse import fold_norms
from mobilevit.spec import Preprocessing
from mobilevit.tasks.base import Task
from mobilevit.weights.creating import spec_of


def graph_of(network: nn.Module, task: Task, size_px: int | None = None) -> Graph:
    """The graph of a network of `task`, for squares of `size_px` (None: the network's own); the network stays."""
    spec = spec_of(network)
    spec = spec if size_px is None else at_size(spec, size_px)
    folded = fold_norms(network)
    _fold_input(folded.backbone.stem.conv, spec.preprocessing)  # type: ignore[union-attr,arg-type]
    return Graph(Finished(folded, task).eval(), tuple(task.interface.outputs), spec)


def _fold_input(stem: nn.Conv2d, preprocessing: Preprocessing) -> None:
    """Make the first convolution divide by 255 and swap the channels, where the network wants BGR."""
    weight = stem.weight.data / 255
    stem.weight.data = weight.flip(1) if preprocessing.channel_order == "bgr" else weight


class Finished(nn.Module):
    """(B, 3, H, W) float32 RGB, 0-255 -> the task's outputs as a tuple, which every exporter understands."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network
        self.task = task

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        finished = self.task.finish(self.network(pictures))
        return tuple(finished[name] for name in self.task.interface.outputs)
