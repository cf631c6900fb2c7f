"""Every model by its name: one literal table. What builds a model is imported with the first one that is built."""

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from mobilevit.errors import UsageError, unknown
from mobilevit.models.anchor_sizes import AnchorSizes
from mobilevit.models.variants import XS, XXS, PatchSizes, S, Variant

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelRow:
    """What a name stands for."""

    task: str
    model: str  # its class, or that with the head chosen: module of this package and name in it
    variant: Variant
    image_size: int  # side of the images that the paper gives it
    fit: Literal["crop", "stretch"]  # how an image becomes square there


MODELS = {
    "mobilevit_xxs": ModelRow("classification", "mobilevit.MobileViT", XXS, 256, "crop"),
    "mobilevit_xs": ModelRow("classification", "mobilevit.MobileViT", XS, 256, "crop"),
    "mobilevit_s": ModelRow("classification", "mobilevit.MobileViT", S, 256, "crop"),
    "ssdlite_mobilevit_xxs": ModelRow("detection", "ssdlite.SSDLite", XXS, 320, "stretch"),
    "ssdlite_mobilevit_xs": ModelRow("detection", "ssdlite.SSDLite", XS, 320, "stretch"),
    "ssdlite_mobilevit_s": ModelRow("detection", "ssdlite.SSDLite", S, 320, "stretch"),
    "deeplabv3_mobilevit_xxs": ModelRow("segmentation", "deeplabv3.with_paper_head", XXS, 512, "stretch"),
    "deeplabv3_mobilevit_xs": ModelRow("segmentation", "deeplabv3.with_paper_head", XS, 512, "stretch"),
    "deeplabv3_mobilevit_s": ModelRow("segmentation", "deeplabv3.with_paper_head", S, 512, "stretch"),
    "deeplabv3_mobilevit_s_os8": ModelRow("segmentation", "deeplabv3.with_fine_head", S, 512, "stretch"),
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
) -> "nn.Module":
    """The model with the paper's initialization, in training mode. Only a detector has `anchors`; UsageError else."""
    row = MODELS[resolve(name)]
    if anchors and row.task != "detection":
        raise UsageError(f"{name} is a model for {row.task}: it has no anchors")
    module, _, model = row.model.partition(".")
    make: Any = getattr(import_module(f"mobilevit.models.{module}"), model)
    make = partial(make, row.variant, num_classes, patch_sizes=patch_sizes, fuse_input=fuse_input)
    built: nn.Module = make(anchors=anchors) if anchors else make()
    return built
