"""Every model by its name: one literal table."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from mobilevit.errors import UsageError, unknown
from mobilevit.models.anchors import AnchorSizes
from mobilevit.models.deeplabv3 import FINE, PAPER, DeepLabv3
from mobilevit.models.mobilevit import XS, XXS, MobileViT, PatchSizes, S, Variant
from mobilevit.models.ssdlite import SSDLite


@dataclass(frozen=True)
class ModelRow:
    """What a name stands for."""

    task: str
    model: Callable[..., nn.Module]  # its class, or that with the head chosen
    variant: Variant
    image_size: int  # side of the images that the paper gives it
    fit: Literal["crop", "stretch"]  # how an image becomes square there


MODELS = {
    "mobilevit_xxs": ModelRow("classification", MobileViT, XXS, 256, "crop"),
    "mobilevit_xs": ModelRow("classification", MobileViT, XS, 256, "crop"),
    "mobilevit_s": ModelRow("classification", MobileViT, S, 256, "crop"),
    "ssdlite_mobilevit_xxs": ModelRow("detection", SSDLite, XXS, 320, "stretch"),
    "ssdlite_mobilevit_xs": ModelRow("detection", SSDLite, XS, 320, "stretch"),
    "ssdlite_mobilevit_s": ModelRow("detection", SSDLite, S, 320, "stretch"),
    "deeplabv3_mobilevit_xxs": ModelRow("segmentation", partial(DeepLabv3, head=PAPER), XXS, 512, "stretch"),
    "deeplabv3_mobilevit_xs": ModelRow("segmentation", partial(DeepLabv3, head=PAPER), XS, 512, "stretch"),
    "deeplabv3_mobilevit_s": ModelRow("segmentation", partial(DeepLabv3, head=PAPER), S, 512, "stretch"),
    "deeplabv3_mobilevit_s_os8": ModelRow("segmentation", partial(DeepLabv3, head=FINE), S, 512, "stretch"),
}

ALIASES = {
    "xx_small": "mobilevit_xxs",
    "x_small": "mobilevit_xs",
    "small": "mobilevit_s",
    "apple/mobilevit-xx-small": "mobilevit_xxs",
    "apple/mobilevit-x-small": "mobilevit_xs",
    "apple/mobilevit-small": "mobilevit_s",
    "apple/deeplabv3-mobilevit-xx-small": "deeplabv3_mobilevit_xxs",
    "apple/deeplabv3-mobilevit-x-small": "deeplabv3_mobilevit_xs",
    "apple/deeplabv3-mobilevit-small": "deeplabv3_mobilevit_s",
}


def list_models() -> list[str]:
    """The names of all models."""
    return list(MODELS)


def resolve(name: str) -> str:
    """The table's name for a name or an alias; UsageError with the nearest names where there is none."""
    name = ALIASES.get(name, name)
    if name not in MODELS:
        raise unknown("model", name, [*MODELS, *ALIASES])
    return name


def for_task(name: str, task: str) -> str:
    """The model for `task` on the backbone of `name`; `name` itself where that is its task.

    "mobilevit_xs", "detection" -> "ssdlite_mobilevit_xs". Of several the first in the table. UsageError for an unknown
    name or task.
    """
    name = resolve(name)
    own = MODELS[name]
    if own.task == task:
        return name
    fitting = [other for other, row in MODELS.items() if (row.task, row.variant) == (task, own.variant)]
    if not fitting:
        raise unknown("task", task, dict.fromkeys(row.task for row in MODELS.values()))
    return fitting[0]


def build(
    name: str,
    num_classes: int,
    *,
    patch_sizes: PatchSizes = (2, 2, 2),
    fuse_input: bool = True,
    anchors: AnchorSizes = (),
) -> nn.Module:
    """The model with the paper's initialization, in training mode. Only a detector has `anchors`; UsageError else."""
    row = MODELS[resolve(name)]
    model = partial(row.model, row.variant, num_classes, patch_sizes=patch_sizes, fuse_input=fuse_input)
    if anchors and row.task != "detection":
        raise UsageError(f"{name} is a model for {row.task}: it has no anchors")
    return model(anchors=anchors) if anchors else model()
