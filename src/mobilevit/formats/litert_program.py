"""What LiteRT's converter is given: the graph with the channels last, in operations that XNNPACK has."""

import torch
from torch import Tensor, nn

from mobilevit.formats.graph import Graph
from mobilevit.formats.rewriting import Replacements, rewritten
from mobilevit.formats.xnnpack import attention, layer_norm_by

aten = torch.ops.aten


def converted(graph: Graph) -> bytes:
    """The file of a graph, for one image of its size."""
    import litert_torch

    images = graph.example.permute(0, 2, 3, 1).contiguous()
    program = ChannelsLast(rewritten(graph.captured, REPLACEMENTS), graph.outputs)
    # not `export`, whose library ends the process where the disk is full
    content: bytes = litert_torch.convert(program.eval(), sample_kwargs={"images": images}).model_content()
    return content


class ChannelsLast(nn.Module):
    """(1, H, W, 3) float32 RGB, 0-255 -> the outputs of `module` by name."""

    def __init__(self, module: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.names = module, names

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.names, self.module(images.permute(0, 3, 1, 2)), strict=True))


def _variance(x: Tensor, _dim: int, eps: float) -> Tensor:
    return (x * x).mean(dim=-1, keepdim=True) + eps


REPLACEMENTS: Replacements = {
    aten.scaled_dot_product_attention.default: attention,
    aten.layer_norm.default: layer_norm_by(_variance),
}
