"""The Task protocol: the one room where reader, loss, decode, metric and drawing of a task meet.

Training, evaluation, prediction and reports know only this; none of them asks which task it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mobilevit.datasets.finding import Finding as Finding
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import check_ranges
from mobilevit.images.transforms import AugmentConfig, Geometry, Size
from mobilevit.spec import AnchorSizes, ClassLabel, Criterion, ModelSpec, ScoreThreshold, Step

if TYPE_CHECKING:  # matplotlib and torch take seconds to import, and a prediction may have no use for them
    from torch import Tensor

    from mobilevit.figures import Figure
    from mobilevit.loading.augment import BatchAugment

Places = NDArray[np.int64]
Outputs = Mapping[str, NDArray[Any]]  # what a Runner returns, by name; first axis the batch


@dataclass(frozen=True)
class Loss:
    """A summed loss and what it is to be divided by: samples, positives or pixels.

    Both are summed over micro-batches and processes before the division, so that any split of a batch gives the
    gradient of the whole.
    """

    total: "Tensor"  # scalar, with gradient
    count: "Tensor"  # scalar, without


@dataclass(frozen=True)
class LossOptions:
    """How a loss weighs its parts. A task takes what it knows of."""

    label_smoothing: float = 0.0  # share of the target spread over all classes
    class_weights: "Tensor | None" = None  # (K,) how much each class counts; None: all the same
    anchors_per_box: int = 1  # least number of anchors that learn an object, as far as they overlap it at all


@dataclass(frozen=True)
class ResultOptions:
    """How much a result says."""

    top_k: int | None = None  # likeliest classes or objects; None: five classes, a hundred objects
    score_threshold: float | None = None  # 0-1, below which nothing is said; None: the model's own, or the task's

    def __post_init__(self) -> None:
        """Refuses what no limit can mean; UsageError."""
        check_ranges(self, top_k=(1, float("inf")), score_threshold=(0.0, 1.0))


class Result(Protocol):
    """What is said about one image."""

    @property
    def source(self) -> str:
        """Where the image came from: a path, a URL, or "<array>"."""
        ...

    def of(self, source: str, size: tuple[int, int]) -> Self:
        """The same result, said of the image at `source`, (width, height) in pixels."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ...

    def row(self) -> dict[str, str]:
        """Short texts for a table, column by column."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """Rows of a CSV file: one an image, or one an object in it; keys are among the task's `columns`."""
        ...

    def mask(self) -> Image | None:
        """The class of every pixel as a palette image of the size of the original; None where pixels have none."""
        ...


@dataclass(frozen=True)
class ExplanationTarget:
    """A part of a result, and the number behind it that is traced back to the image."""

    result: Any  # of the whole image
    name: str  # of the class that it is about
    heading: str  # for people: what was predicted, and which part of it this is
    score: "Callable[[Any], Tensor]"  # the model's raw output -> one number, with its gradient
    layer: str  # module of the model whose map is looked at, (1, C, h, w)
    bars_title: str
    bars: tuple[tuple[str, float], ...]  # the parts of the result and how much of it they are, 0-1
    bar: int  # which of them is asked about
    region: NDArray[np.bool_] | None = None  # (H, W) of what the model saw: where that part is; None: everywhere


@dataclass(frozen=True)
class Interface:
    """What a program around an exported model has to know."""

    outputs: Mapping[str, str]  # in order: name, and what it is for people: shape, range, order
    postprocessing: tuple[Step, ...]  # after the model; a description may name the step's parameters: {score_threshold}
    thresholds: Mapping[str, float]  # of the parameters, those that a model may have of its own, and NMS's
    agreement: str  # what `agreement` counts: "top-1", "objects" or "pixels"


class Scores(Protocol):
    """The outcome of an evaluation."""

    @property
    def primary(self) -> tuple[str, float | None]:
        """The name and value that decide which epoch was best; larger is better, None could not be measured."""
        ...

    def scalars(self) -> dict[str, float | None]:
        """Named figures for metrics.csv; None where there was nothing to measure one on."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
        ...

    def threshold(self, criterion: Criterion) -> ScoreThreshold | None:
        """The score above which results are told, for predictions: the one that meets the criterion best here.

        None where the task tells everything, and where nothing was there to choose it on. UsageError where no threshold
        meets the criterion, with the best that can be had. What else the scores are does not depend on it.
        """
        ...

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Rows by title (one table is per class); the first key of a row is its heading."""
        ...

    def files(self) -> dict[str, str]:
        """Texts for machines by file name: tables too wide to read, such as confusion.csv."""
        ...

    def plots(self) -> "dict[str, Figure]":
        """Figures by title."""
        ...


class Metric(Protocol):
    """Gathers what the scores need, batch by batch; `merge` joins the parts that several processes gathered."""

    def update(self, outputs: Outputs, targets: Sequence[Any], indices: Places) -> None:
        """`targets` are those of `Task.load_target`, one an image; `indices` (B,) are of the samples."""
        ...

    def merge(self, other: "Metric") -> None: ...

    def compute(self) -> Scores: ...

    def resampled(self, places: Places) -> Scores:
        """The scores of the samples at `places` in the order of their indices; one may be there several times."""
        ...

    def worst(self, count: int) -> list[tuple[int, Outputs]]:
        """The worst mistakes: index of the sample and its outputs (each with a batch axis of one)."""
        ...

    def examples(self, count: int) -> list[tuple[int, Outputs]]:
        """An even choice of samples, right and wrong, in the same form."""
        ...


class Task(Protocol):
    """Everything that makes a task."""

    name: str
    counted: str  # what `class_counts` counts: "images", "boxes" or "pixels"
    counts_images: bool  # whether that is the images themselves, so that one that cannot be read does not count
    cuts_images: bool  # whether evaluation sees the center square of an image, not all of it
    image_size: int  # side of the images that the paper gives its models
    label_smoothing: float  # of the loss in the paper; a run may have another
    interface: Interface

    # -- the dataset

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """The dataset at `root`; DataError where it is missing, empty or inconsistent."""
        ...

    def check(self, dataset: Dataset, *, thorough: bool) -> list[Finding]:
        """What is wrong with the targets (the images themselves are checked by the doctor).

        Within seconds, unless `thorough`: then every file of the targets is read.
        """
        ...

    def class_counts(self, target: Any) -> Mapping[int, int]:
        """How often each class occurs in a target; a class that does not may be left out. May read a file."""
        ...

    def files(self, target: Any) -> Sequence[Path]:
        """Images that belong to the target, such as its mask."""
        ...

    def relabel(self, target: Any, mapping: Sequence[int]) -> Any:
        """A sample's target with class i replaced by class mapping[i]."""
        ...

    # -- training

    def anchors(self, dataset: Dataset) -> AnchorSizes:
        """The anchors that fit the training boxes; UsageError where the task has none."""
        ...

    def train_geometry(
        self, rng: np.random.Generator, size: Size, target: Any, image_size: int, config: AugmentConfig
    ) -> Geometry:
        """The random part of an image of `size` that training sees, as a square of `image_size`."""
        ...

    def smallest_crop(self, size: Size, config: AugmentConfig) -> int:
        """The least side that such a part of an image of `size` can have, in pixels of it."""
        ...

    def transform_target(self, target: Any, geometry: Geometry) -> Any:
        """What is left of a target in the image that `geometry` makes."""
        ...

    def collate(self, targets: Sequence[Any]) -> Any:
        """Targets of a batch that are `transform_target`, as something with `.to(device, non_blocking=...)` and
        `.pin_memory()`."""
        ...

    def batch_augment(self, config: AugmentConfig, num_classes: int) -> "BatchAugment | None":
        """What changes whole batches, where the config asks for it; UsageError where the task cannot."""
        ...

    def loss(self, raw: Any, targets: Any, options: LossOptions) -> Loss:
        """The training loss of the model's raw output for collated targets."""
        ...

    # -- results

    def postprocess(self, raw: Any) -> "dict[str, Tensor]":
        """Raw output to named outputs, in plain torch: softmax, decoded boxes or a class map."""
        ...

    def decode(self, outputs: Outputs, spec: ModelSpec, limits: ResultOptions = ResultOptions()) -> list[Any]:
        """Named outputs of a batch to one Result an image."""
        ...

    def columns(self, spec: ModelSpec, limits: ResultOptions) -> Sequence[str]:
        """The heading of a CSV file of all `records`, whatever is found."""
        ...

    def agreement(self, outputs: Outputs, reference: Outputs, spec: ModelSpec) -> NDArray[np.float32]:
        """(B,) of each image how far the results of two sets of outputs are the same, 0-1."""
        ...

    def explanation_target(
        self, outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int
    ) -> ExplanationTarget:
        """What is to be explained in the outputs of one image.

        The `number`-th part (from 1, the best first) of class `class_index`, of any class where that is None.
        UsageError where there is no such part.
        """
        ...

    def load_target(self, target: Any) -> Any:
        """The whole target, as the metric wants it. May read a file."""
        ...

    def metric(self, spec: ModelSpec) -> Metric:
        """An empty one, for the results of a model with that spec."""
        ...

    def draw(self, image: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        """The image with the result, and a sample's target where it is known, drawn on it."""
        ...

    def legend(self, dataset: Dataset, width: int) -> Image | None:
        """What the colors of `draw_target` mean, as an RGB strip of that width; None where it draws none."""
        ...

    def draw_target(self, image: Image, target: Any, classes: Sequence[ClassLabel]) -> Image:
        """The image with a sample's target alone, for an overview of a dataset."""
        ...
