"""Findings from class names alone, for any task."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mobilevit.datasets.finding import Finding
from mobilevit.spec import ClassLabel


def name_findings(classes: Sequence[ClassLabel]) -> Iterator[Finding]:
    """Names that are spelled alike, and names whose meaning a mirror changes."""
    yield from _similar_names(classes)
    yield from _mirror(classes)


def _similar_names(classes: Sequence[ClassLabel]) -> Iterator[Finding]:
    alike: dict[str, list[str]] = defaultdict(list)
    for label in classes:
        alike[label.id.strip().casefold()].append(label.id)
    for names in alike.values():
        if len(names) > 1:
            spelled = " and ".join(f"'{name}'" for name in names)
            yield Finding(
                "warning",
                "similar-names",
                f"the classes {spelled} differ only in case or spaces: merge them if they are the same",
            )


def _mirror(classes: Sequence[ClassLabel]) -> Iterator[Finding]:
    """Characters and sides: the flip of the augmentation would turn one class into another."""
    words = [set(re.split(r"[\W_]+", label.name.casefold())) for label in classes]
    characters = all(len(label.name) == 1 for label in classes)
    if characters or (any("left" in word for word in words) and any("right" in word for word in words)):
        what = "single characters" if characters else "left and right"
        message = f"the class names are {what}: if mirroring changes their meaning, train with `flip=False`"
        yield Finding("info", "mirror", message)
