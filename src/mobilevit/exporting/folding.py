"""The model as it is exported: it takes images as programs have them, 0-255 and RGB, at no cost."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from mobilevit.errors import UsageError
from mobilevit.formats.graph import Graph
from mobilevit.models.fuse import fold_norms
from mobilevit.models.mobilevit import Backbone
from mobilevit.spec import Preprocessing, at_size
from mobilevit.tasks.base import Task
from mobilevit.weights.creating import spec_of


def graph_of(model: nn.Module, task: Task, image_size: int | None = None, image_sizes: Sequence[int] = ()) -> Graph:
    """The graph of a model of `task`, for squares of `image_size` (None: the model's own); the model stays.

    `image_sizes` are other sides that the same exported model has to take. UsageError where one graph cannot.
    """
    spec = spec_of(model)
    spec = spec if image_size is None else at_size(spec, image_size)
    folded = fold_norms(model)
    backbone = cast(Backbone, folded.backbone)
    _fold_input(backbone.stem.conv, spec.preprocessing)
    further = tuple(sorted({*image_sizes} - {spec.preprocessing.image_size}))
    graph = Graph(Finished(folded, task).eval(), tuple(task.interface.outputs), spec, further)
    odd = [str(side) for side in graph.image_sizes if side % backbone.step_px]
    if further and odd:
        raise UsageError(
            f"one file takes several sizes where all are multiples of {backbone.step_px} px, not {', '.join(odd)}: "
            "else some maps would be resized inside the model and others not"
        )
    return graph


def _fold_input(stem: nn.Conv2d, preprocessing: Preprocessing) -> None:
    """Make the first convolution divide by 255 and swap the channels, where the model wants BGR."""
    weight = stem.weight.data / 255
    stem.weight.data = weight.flip(1) if preprocessing.channel_order == "bgr" else weight


class Finished(nn.Module):
    """(B, 3, H, W) float32 RGB, 0-255 -> the task's outputs as a tuple, which every exporter understands."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        finished = self.task.postprocess(self.model(images))
        return tuple(finished[name] for name in self.task.interface.outputs)
