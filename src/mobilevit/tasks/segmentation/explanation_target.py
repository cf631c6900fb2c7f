"""Why a segmenter says what it says: the pixels of one class."""

import torch
from torch import Tensor

from mobilevit.datasets.finding import counted, listed
from mobilevit.errors import UsageError
from mobilevit.models.deeplabv3 import SegmentationOutput
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import ExplanationTarget, Outputs, ResultOptions
from mobilevit.tasks.segmentation.result import Area, decode

SHOWN = 5  # classes
BACKGROUND = "background"  # the class that is explained only when it is asked for


def explanation_target(outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int) -> ExplanationTarget:
    """About the region of a class, the largest where none is given: the mean of its logit over the region.

    The map is that of stage 5, from which the head gathers what lies around each pixel.
    """
    if number != 1:
        raise UsageError("a segmenter knows no objects, only classes: leave out --object, or give --class-name")
    (result,) = decode(outputs["class_map"], spec.classes, ResultOptions())
    area = _area(result.areas, spec, class_index)
    region = outputs["class_map"][0] == area.value

    def mean_logit(raw: SegmentationOutput) -> Tensor:
        return raw.logits[0, area.value][torch.from_numpy(region).to(raw.logits.device)].mean()

    shown = result.areas[:SHOWN] if area in result.areas[:SHOWN] else (*result.areas[: SHOWN - 1], area)
    return ExplanationTarget(
        result=result,
        name=area.class_name,
        heading=f"{counted(len(result.areas), 'class')}. "
        f"Explained: {area.class_name}  {area.fraction:.1%} of the image",
        score=mean_logit,
        layer="backbone.stages.4",
        bars_title="fraction of the image",
        bars=tuple((each.class_name, each.fraction) for each in shown),
        bar=shown.index(area),
        region=region,
    )


def _area(areas: tuple[Area, ...], spec: ModelSpec, class_index: int | None) -> Area:
    if class_index is not None:
        for area in areas:
            if area.value == class_index:
                return area
        present = listed([area.class_name for area in areas])
        raise UsageError(f"no pixel of this image is {spec.classes[class_index].name}: there are {present}")
    things = [area for area in areas if area.class_name != BACKGROUND]
    return things[0] if things else areas[0]
