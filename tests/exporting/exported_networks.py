"""A trained network of each task, to be exported at a small size."""

from functools import cache

from torch import nn

from mobilevit.weights.creating import create, load

SIZE_PX = 96  # a map of 3 x 3 in the last stage: the resize inside the block is part of what is compared
TASKS = ("classification", "detection", "segmentation")


@cache
def network_of(task: str) -> nn.Module:
    """The packaged classifier, or a new head on its backbone; in evaluation mode."""
    if task == "classification":
        return load("imagenette")
    name = {"detection": "ssdlite_mobilevit_xxs", "segmentation": "deeplabv3_mobilevit_xxs"}[task]
    return create(name, num_classes=3, weights="imagenette").eval()
