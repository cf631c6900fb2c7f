"""What a classifier says about one image."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mobilevit.spec import ClassLabel
from mobilevit.tasks.base import ResultOptions


class Score(NamedTuple):
    """One class and how likely it is."""

    class_id: str
    class_name: str
    score: float  # 0-1


@dataclass(frozen=True)
class Classification:
    """The likeliest classes of one image, best first."""

    top: tuple[Score, ...]
    source: str = "<array>"  # a path or a URL, where the image has one
    size: tuple[int, int] = (0, 0)  # (width, height) in pixels; zeros where only the model's input is known

    @property
    def best(self) -> Score:
        return self.top[0]

    def of(self, source: str, size: tuple[int, int]) -> Self:
        return replace(self, source=source, size=size)

    def to_dict(self) -> dict[str, Any]:
        width, height = self.size
        top = [score._asdict() for score in self.top]
        return {"source": self.source, "width": width, "height": height, "top": top}

    def row(self) -> dict[str, str]:
        row = {"image": self.source, "class": self.best.class_name, "score": f"{self.best.score:.1%}"}
        others = ", ".join(f"{other.class_name} {other.score:.1%}" for other in self.top[1:])
        return {**row, "then": others} if others else row

    def records(self) -> list[dict[str, Any]]:
        """One row; the second class in `class_name_2` and so on."""
        told = [value for one in self.top for value in (one.class_name, one.class_id, round(one.score, 6))]
        return [dict(zip(columns(len(self.top)), (self.source, *self.size, *told), strict=True))]

    def mask(self) -> Image | None:
        """None: a classifier speaks of the whole image."""
        return None


def columns(count: int) -> list[str]:
    """Of the records of results that tell `count` classes."""
    suffixes = ["", *(f"_{place}" for place in range(2, count + 1))]
    return [
        "source",
        "width",
        "height",
        *(f"{key}{one}" for one in suffixes for key in ("class_name", "class_id", "score")),
    ]


DEFAULT_TOP_K = 5  # likeliest classes, unless asked otherwise


def decode(
    probabilities: NDArray[np.float32], classes: tuple[ClassLabel, ...], limits: ResultOptions
) -> list[Classification]:
    """(B, K) probabilities to the likeliest of K `classes`, one result an image; the very best is always there."""
    indices = likeliest(probabilities, limits.top_k or DEFAULT_TOP_K)
    scores = np.take_along_axis(probabilities, indices, axis=1)
    least = limits.score_threshold or 0.0
    return [
        Classification(
            tuple(
                Score(classes[i].id, classes[i].name, score)
                for place, (i, score) in enumerate(zip(*pair, strict=True))
                if place == 0 or score >= least
            )
        )
        for pair in zip(indices.tolist(), scores.tolist(), strict=True)
    ]


def likeliest(probabilities: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """(B, `count` or K) the classes of the highest probabilities (B, K), best first; of equal ones the first."""
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
