"""ModelSpec: what a model is and what it expects. It travels with every weight file."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mobilevit.errors import UsageError, WeightsError, unknown
from mobilevit.text import printable, to_json

ChannelOrder = Literal["rgb", "bgr"]
Interpolation = Literal["bilinear", "bicubic"]
Fit = Literal["crop", "stretch"]
AnchorSizes = tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class ClassLabel:
    """One class: a stable id (folder name, ImageNet wnid) and a name for people."""

    id: str
    name: str

    def __post_init__(self) -> None:
        """Keeps both so that every file and every terminal can hold them: folders may have any name."""
        for key in ("id", "name"):
            if isinstance(value := getattr(self, key), str):
                object.__setattr__(self, key, printable(value))


@dataclass(frozen=True)
class Preprocessing:
    """From a decoded image to the model's input, a square scaled to 0-1.

    `fit` "crop": resize the short side, crop the center. "stretch": the whole image, its aspect not kept.
    """

    image_size: int = 256  # side of the square
    resize_px: int = 288  # short side before the crop; without meaning where the image is stretched
    interpolation: Interpolation = "bilinear"
    channel_order: ChannelOrder = "rgb"  # of the model's input; callers always pass RGB
    fit: Fit = "crop"


@dataclass(frozen=True)
class Step:
    """One step of what a program does before or after the model."""

    step: str  # its name: "center_crop", "nms"
    parameters: dict[str, Any]  # the numbers and choices that it takes, by name
    description: str  # for people


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from and under which terms they may be used."""

    source: str = ""  # a URL, or the command that trained them
    license: str = ""
    score: str = ""  # for people: "69.0 % top-1, ImageNet-1k val"
    note: str = ""


@dataclass(frozen=True)
class Criterion:
    """The criterion for a score threshold: the best F1, or a minimum precision or recall with the best of the other."""

    name: str  # a key of LEAST_OF
    least: float = 0.0  # above 0 and up to 1; without meaning for "f1"

    @classmethod
    def parse(cls, text: str) -> "Criterion":
        """The inverse of `str`: "f1", "precision=0.95" or "recall=0.9"; UsageError for another text."""
        name, separator, least = text.partition("=")
        if name not in LEAST_OF:
            raise unknown("criterion of a score threshold", text, LEAST_OF.values())
        try:
            value = float(least) if separator else 0.0
        except ValueError:
            value = -1.0
        if not (0 < value <= 1 if LEAST_OF[name] != name else not separator):
            wanted = name if LEAST_OF[name] == name else f"one such as {LEAST_OF[name]}, above 0 and up to 1"
            raise UsageError(f"invalid criterion '{text}': give {wanted}")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.name}={self.least:g}" if self.least else self.name


LEAST_OF = {"f1": "f1", "precision": "precision=0.95", "recall": "recall=0.9"}  # what each looks like


@dataclass(frozen=True)
class ScoreThreshold:
    """The minimum score of reported objects, and how it was chosen: what it reached on which images."""

    value: float  # 0-1, 1 excluded
    criterion: str  # of a Criterion
    precision: float  # of the objects told, the share that is right at an IoU of 0.5
    recall: float  # of the objects that are there, the share found
    dataset: str = ""  # name of its folder
    split: str = ""
    images: int = 0
    note: str = ""  # for people

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)

    @property
    def reason(self) -> str:
        """For people: "the best F1 on val of birds, 87 images (F1 89.2 %, precision 91.0 %, recall 87.5 %)"."""
        name, _, least = self.criterion.partition("=")
        chosen = f"a {name} of at least {least}" if least else "the best F1"
        reached = f"F1 {self.f1:.1%}, precision {self.precision:.1%}, recall {self.recall:.1%}"
        note = f"; {self.note}" if self.note else ""
        return f"{chosen} on {self.split} of {self.dataset}, {self.images:,} images ({reached}){note}"

    @property
    def is_valid(self) -> bool:
        """Whether every value is in its range, since files are untrusted."""
        try:
            Criterion.parse(self.criterion)
        except (UsageError, AttributeError):
            return False
        shares = (self.value, self.precision, self.recall)
        numbers = all(isinstance(share, int | float) and not isinstance(share, bool) for share in shares)
        texts = all(isinstance(text, str) for text in (self.dataset, self.split, self.note))
        whole = isinstance(self.images, int) and not isinstance(self.images, bool) and self.images >= 0
        return numbers and texts and whole and self.value < 1 and all(0 <= share <= 1 for share in shares)


@dataclass(frozen=True)
class ModelSpec:
    """Everything about a model but its weights. WeightsError for a stored one that cannot be read."""

    architecture: str  # a name of models.table.MODELS
    task: str
    classes: tuple[ClassLabel, ...]  # in the order of the outputs; empty for a model of pooled features
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    patch_sizes: tuple[int, int, int] = (2, 2, 2)  # ablation: side of a patch in stages 3, 4 and 5
    fuse_input: bool = True  # ablation: whether a block fuses its input
    anchors: AnchorSizes = ()  # detection: (w, h) of each anchor of each level, of the image; empty: the paper's
    score_threshold: ScoreThreshold | None = None  # detection: chosen for this model; None: the task's default
    provenance: Provenance = field(default_factory=Provenance)

    def to_json(self) -> str:
        return to_json({"format": FORMAT, **asdict(self)})

    @classmethod
    def from_json(cls, text: str) -> "ModelSpec":
        try:
            data: dict[str, Any] = json.loads(text)
            if data.pop("format") != FORMAT:
                raise WeightsError(f"the model file's format is not {FORMAT}: it was written by another version")
            data["classes"] = tuple(ClassLabel(**label) for label in data["classes"])
            data["preprocessing"] = Preprocessing(**data["preprocessing"])
            data["provenance"] = Provenance(**data["provenance"])
            data["patch_sizes"] = tuple(data["patch_sizes"])
            data["anchors"] = tuple(tuple((w, h) for w, h in level) for level in data.pop("anchors", ()))
            threshold = data.pop("score_threshold", None)
            data["score_threshold"] = None if threshold is None else _valid(ScoreThreshold(**threshold))
            return cls(**data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(f"the model file's spec cannot be read: {error!r}") from error


def _valid(threshold: ScoreThreshold) -> ScoreThreshold:
    if not threshold.is_valid:
        raise WeightsError(f"the model file's spec has score_threshold {threshold!r}, which is invalid")
    return threshold


def repeated_id(classes: Iterable[ClassLabel]) -> str | None:
    """An id shared by two classes; None if there is none.

    Names may repeat: ImageNet has two classes "crane".
    """
    counts = Counter(label.id for label in classes)
    return next((name for name, count in counts.items() if count > 1), None)


def at_size(spec: ModelSpec, image_size: int) -> ModelSpec:
    """The spec with another crop size, and a resize before it in the same ratio; UsageError out of range."""
    if not SMALLEST_PX <= image_size <= LARGEST_PX:
        raise UsageError(f"`image_size` is {image_size}: it must be between {SMALLEST_PX} and {LARGEST_PX} px")
    before = spec.preprocessing
    resize_px = round(image_size * before.resize_px / before.image_size)
    return replace(spec, preprocessing=replace(before, image_size=image_size, resize_px=resize_px))


SMALLEST_PX, LARGEST_PX = 32, 4096  # of the input: the model halves it five times; attention grows with its square

FORMAT = 1  # of the stored spec; raised when an older reader would misread it


def labels(names: Iterable[str]) -> tuple[ClassLabel, ...]:
    """Classes whose id is their name."""
    return tuple(ClassLabel(name, name) for name in names)
