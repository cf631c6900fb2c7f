"""What `check`, its report and its contact sheet need to know about targets; every Task provides it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from mobilevit.datasets.finding import Finding
from mobilevit.datasets.sample import Dataset
from mobilevit.spec import ClassLabel


class Targets(Protocol):
    """The part of `tasks.base.Task` that speaks of a dataset's targets; see there."""

    counted: str
    counts_images: bool
    image_size: int
    cuts_images: bool

    def check(self, dataset: Dataset, *, thorough: bool) -> list[Finding]: ...

    def class_counts(self, target: Any) -> Mapping[int, int]: ...

    def files(self, target: Any) -> Sequence[Path]: ...

    def legend(self, dataset: Dataset, width: int) -> Image.Image | None: ...

    def draw_target(self, image: Image.Image, target: Any, classes: Sequence[ClassLabel]) -> Image.Image: ...
