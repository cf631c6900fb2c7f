"""The Task protocol: the one room where reader, loss, decode, metric and drawing of a task meet.

Training, evaluation, prediction and reports know only this; none of them asks which task it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from PIL.Image import Image
from torch import Tensor

from mobilevit.data.finding import Finding as Finding
from mobilevit.data.sample import Dataset
from mobilevit.spec import ClassLabel, ModelSpec

if TYPE_CHECKING:  # matplotlib takes a second to import, and a prediction has no use for it
    from matplotlib.figure import Figure

TOP = 5  # likeliest classes in a result, unless asked otherwise
Outputs = Mapping[str, Tensor]  # what a Runner returns, by name; on the CPU, first axis the batch


@dataclass(frozen=True)
class Loss:
    """A summed loss and what it is to be divided by: samples, positives or pixels.

    Both are summed over micro-batches and processes before the division, so that any split of a batch gives the
    gradient of the whole.
    """

    total: Tensor  # scalar, with gradient
    count: Tensor  # scalar, without


@dataclass(frozen=True)
class ReadOptions:
    """How a data set on disk is understood."""

    val_fraction: float = 0.2  # taken from training where the folder has no split of its own
    split_seed: int = 0  # decides which pictures those are


class Result(Protocol):
    """What is said about one picture."""

    @property
    def source(self) -> str:
        """Where the picture came from: a path, an address, or "<array>"."""
        ...

    def of(self, source: str, size: tuple[int, int]) -> Self:
        """The same result, said of the picture at `source`, (width, height) in pixels."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        ...

    def row(self) -> dict[str, str]:
        """Short texts for a table, column by column."""
        ...

    def records(self) -> list[dict[str, Any]]:
        """Rows of a CSV file: one a picture, or one an object in it."""
        ...


class Scores(Protocol):
    """The outcome of an evaluation."""

    @property
    def primary(self) -> tuple[str, float]:
        """The name and value that decide which epoch was best; larger is better."""
        ...

    def scalars(self) -> dict[str, float]:
        """Named figures for metrics.csv."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values for JSON."""
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

    def update(self, outputs: Outputs, targets: Any, indices: Tensor) -> None: ...

    def merge(self, other: "Metric") -> None: ...

    def compute(self) -> Scores: ...

    def worst(self, count: int) -> list[tuple[int, Outputs]]:
        """The worst mistakes: index of the sample and its outputs (each with a batch axis of one)."""
        ...

    def examples(self, count: int) -> list[tuple[int, Outputs]]:
        """An even choice of samples, right and wrong, in the same form."""
        ...


class Task(Protocol):
    """Everything that makes a task."""

    name: str

    def recognises(self, root: Path) -> bool:
        """Whether `root` looks like a data set of this task."""
        ...

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """The data set at `root`; DataError where it is missing, empty or inconsistent."""
        ...

    def check(self, dataset: Dataset) -> list[Finding]:
        """What is wrong with the targets (the pictures themselves are checked by the doctor)."""
        ...

    def collate(self, targets: Sequence[Any]) -> Any:
        """Targets of a batch, as tensors."""
        ...

    def loss(self, raw: Any, targets: Any, *, label_smoothing: float, class_weights: Tensor | None) -> Loss:
        """The training loss of the network's raw output."""
        ...

    def finish(self, raw: Any) -> dict[str, Tensor]:
        """Raw output to named outputs, in plain torch: softmax, decoded boxes or a class map."""
        ...

    def decode(self, outputs: Outputs, spec: ModelSpec, top: int = TOP) -> list[Any]:
        """Named outputs of a batch to one Result a picture, of the `top` likeliest classes or objects."""
        ...

    def relabel(self, target: Any, mapping: Sequence[int]) -> Any:
        """A sample's target with class i replaced by class mapping[i]."""
        ...

    def metric(self, classes: Sequence[ClassLabel]) -> Metric: ...

    def draw(self, picture: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        """The picture with the result, and the truth where it is known, drawn on it."""
        ...
