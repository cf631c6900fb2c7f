"""What the inside of a network says about one picture: everything that an explanation shows."""

import copy
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from mobilevit import tasks
from mobilevit.data.transforms import prepare, to_tensor
from mobilevit.errors import UsageError
from mobilevit.explanation.attention import BlockRecord, PixelAttention, recording
from mobilevit.explanation.gradcam import grad_cam, heat
from mobilevit.models.mobilevit import MobileViT
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import Limits
from mobilevit.tasks.classification.result import Classification, Score

Pixel = tuple[float, float]  # x from the left and y from the top of the crop, both 0-1


@dataclass(frozen=True)
class Evidence:
    """The prediction, the heat of one class, and the attention of one pixel."""

    crop: Image.Image  # square: what the network saw
    result: Classification  # what it says
    explained: Score  # the class that the heat is about
    heat: Tensor  # (h, w) 0-1 over the crop: Grad-CAM
    pixel: Pixel
    attention: tuple[PixelAttention, ...]  # of the pixel, in each MobileViT block


def gather(
    network: nn.Module, spec: ModelSpec, crop: Image.Image, index: int | None, pixel: Pixel | None, device: torch.device
) -> Evidence:
    """Look at `crop` with a copy of the network.

    `index` is the class to explain (None: the predicted one), `pixel` the one to follow (None: the warmest).
    """
    if not isinstance(network, MobileViT):
        raise UsageError(f"only MobileViT classifiers can be explained so far, not {spec.architecture}")
    logits, signed_map, blocks = _look(network, spec, crop, index, device)
    ranking = _ranking(logits, spec)
    warmth = heat(signed_map)
    pixel = pixel or _peak(warmth)
    explained = ranking.best if index is None else next(s for s in ranking.top if s.id == spec.classes[index].id)
    attention = tuple(block.at(*pixel) for block in blocks)
    return Evidence(crop, ranking, explained, warmth, pixel, attention)


def _look(
    network: MobileViT, spec: ModelSpec, crop: Image.Image, index: int | None, device: torch.device
) -> tuple[Tensor, Tensor, list[BlockRecord]]:
    """Logits (1, K), the signed map of Grad-CAM (h, w), and what each block's attention read.

    Grad-CAM looks at the last convolution: only mean pooling and a linear layer follow, so the map adds up to the
    logit, exactly.
    """
    network = copy.deepcopy(network).to(device).float().eval().requires_grad_(False)
    inputs = prepare(to_tensor(crop)[None].to(device), spec.preprocessing.channel_order)

    def score(logits: Tensor) -> Tensor:
        return logits[0].max() if index is None else logits[0, index]

    with recording(network) as blocks:
        signed_map, logits = grad_cam(network, inputs, network.final, score)
    return logits.detach().cpu(), signed_map.cpu(), blocks


def _ranking(logits: Tensor, spec: ModelSpec) -> Classification:
    """All classes, the likeliest first."""
    task = tasks.get(spec.task)
    (result,) = task.decode(task.finish(logits), spec, Limits(top=len(spec.classes)))
    assert isinstance(result, Classification)
    return result


def _peak(warmth: Tensor) -> Pixel:
    """The middle of the warmest place; of the picture, where nothing is warm."""
    if not warmth.any():
        return 0.5, 0.5
    height, width = warmth.shape
    row, column = divmod(int(warmth.argmax()), width)
    return (column + 0.5) / width, (row + 0.5) / height
