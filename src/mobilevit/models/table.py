"""Every network by its name: one literal table."""

from dataclasses import dataclass

from torch import nn

from mobilevit.errors import unknown
from mobilevit.models.mobilevit import XS, XXS, MobileViT, PatchSizes, S, Variant


@dataclass(frozen=True)
class Row:
    """What a name stands for."""

    task: str
    network: type[MobileViT]
    variant: Variant


MODELS = {
    "mobilevit_xxs": Row("classification", MobileViT, XXS),
    "mobilevit_xs": Row("classification", MobileViT, XS),
    "mobilevit_s": Row("classification", MobileViT, S),
}

ALIASES = {
    "xx_small": "mobilevit_xxs",
    "x_small": "mobilevit_xs",
    "small": "mobilevit_s",
    "apple/mobilevit-xx-small": "mobilevit_xxs",
    "apple/mobilevit-x-small": "mobilevit_xs",
    "apple/mobilevit-small": "mobilevit_s",
}


def list_models() -> list[str]:
    """The names of all networks."""
    return list(MODELS)


def resolve(name: str) -> str:
    """The table's name for a name or an alias; UsageError with the nearest names where there is none."""
    name = ALIASES.get(name, name)
    if name not in MODELS:
        raise unknown("model", name, [*MODELS, *ALIASES])
    return name


def build(name: str, num_classes: int, *, patch_sizes: PatchSizes = (2, 2, 2), fuse_input: bool = True) -> nn.Module:
    """The network with the paper's initialisation, in training mode."""
    row = MODELS[resolve(name)]
    return row.network(row.variant, num_classes, patch_sizes=patch_sizes, fuse_input=fuse_input)
