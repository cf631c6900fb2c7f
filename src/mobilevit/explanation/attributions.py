"""What the inside of a model says about one image: everything that an explanation shows."""

import copy
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from mobilevit import tasks
from mobilevit.explanation.attention import PixelAttention, recording
from mobilevit.explanation.gradcam import grad_cam, heat
from mobilevit.images.transforms import pixels_of
from mobilevit.loading.batch import prepare
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import ExplanationTarget

Pixel = tuple[float, float]  # x from the left and y from the top of the crop, both 0-1


@dataclass(frozen=True)
class Attributions:
    """The prediction, the heat of one part of it, and the attention of one pixel."""

    crop: Image.Image  # square: what the model saw
    target: ExplanationTarget  # what is explained, in what is predicted
    heat: Tensor  # (h, w) 0-1 over the crop: Grad-CAM
    pixel: Pixel
    attention: tuple[PixelAttention, ...]  # of the pixel, in each MobileViT block


def gather(
    model: nn.Module,
    spec: ModelSpec,
    crop: Image.Image,
    class_index: int | None,
    number: int,
    pixel: Pixel | None,
    device: torch.device,
) -> Attributions:
    """Look at `crop` with a copy of the model.

    `class_index` and `number` say what to explain, as for `Task.explanation_target`; `pixel` is the one to follow
    (None: the warmest).
    """
    model = copy.deepcopy(model).to(device).float().eval().requires_grad_(False)
    inputs = prepare(torch.from_numpy(pixels_of(crop))[None].to(device), spec.preprocessing.channel_order)
    task = tasks.get(spec.task)
    with torch.no_grad():
        outputs = {name: values.cpu().numpy() for name, values in task.postprocess(model(inputs)).items()}
    target = task.explanation_target(outputs, spec, class_index, number)
    with recording(model) as blocks:
        signed_map, _ = grad_cam(model, inputs, model.get_submodule(target.layer), target.score)
    warmth = heat(signed_map.cpu())
    pixel = pixel or _peak(warmth)
    return Attributions(crop, target, warmth, pixel, tuple(block.at(*pixel) for block in blocks))


def _peak(warmth: Tensor) -> Pixel:
    """The middle of the warmest place; of the image, where nothing is warm."""
    if not warmth.any():
        return 0.5, 0.5
    height, width = warmth.shape
    row, column = divmod(int(warmth.argmax()), width)
    return (column + 0.5) / width, (row + 0.5) / height
