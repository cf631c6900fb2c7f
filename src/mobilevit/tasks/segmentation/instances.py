"""Masks whose values count objects in place of classes: how they are told, and what to do with them."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from mobilevit.data.finding import Finding
from mobilevit.tasks.segmentation.target import IGNORED

LEAST_MASKS = 3  # with an object, below which nothing is concluded
REMEDY = (
    "`mobilevit convert-data IN OUT --instances NAME --to coco` makes a box of each object, `--to masks` one class of "
    "all; if they are classes, name them in classes.txt"
)


def findings(values: Sequence[AbstractSet[int]]) -> list[Finding]:
    """A warning where the values of masks, a set for each, count objects."""
    objects = _objects(values)
    if _count_up(objects):
        largest = max(map(len, objects))
        how = f"begin with 1 in every image and go without a gap, here up to {largest}"
    elif _go_on(objects):
        how = "never occur in two images"
    else:
        return []
    message = f"the values of the masks {how}, as those of instances do, which are objects and no classes: {REMEDY}"
    return [Finding("warning", "instances", message)]


def _objects(values: Sequence[AbstractSet[int]]) -> list[set[int]]:
    """Those of each mask that has some beside the background and pixels to ignore."""
    objects = [set(found) - {0, IGNORED} for found in values]
    return [found for found in objects if found]


def _count_up(objects: Sequence[set[int]]) -> bool:
    """1 to n in each, and n differs. Classes do so where each occurs only beside all that come before it."""
    lengths = {len(found) for found in objects}
    return len(objects) >= LEAST_MASKS and len(lengths) > 1 and all(max(found) == len(found) for found in objects)


def _go_on(objects: Sequence[set[int]]) -> bool:
    """No value in two masks: a count through the whole dataset."""
    different = set().union(*objects)
    return len(objects) >= LEAST_MASKS and len(different) == sum(map(len, objects)) and min(different) > 0
