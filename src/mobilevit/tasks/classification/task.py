"""The Task object that joins everything that makes classification."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import UsageError
from mobilevit.images import transforms
from mobilevit.images.transforms import AugmentConfig, Geometry, Size
from mobilevit.spec import AnchorSizes, ClassLabel, ModelSpec, Step
from mobilevit.tasks.base import ExplanationTarget, Finding, Interface, Loss, LossOptions, Outputs, ResultOptions
from mobilevit.tasks.classification import drawing, result
from mobilevit.tasks.classification.findings import findings
from mobilevit.tasks.classification.metric import ClassificationMetric

if TYPE_CHECKING:  # training and explanations import torch when they begin, and whoever predicts never does
    from torch import Tensor

    from mobilevit.loading.augment import BatchAugment


class ClassificationTask:
    """One class for a whole image; a target is the index of the class."""

    name = "classification"
    counted = "images"
    counts_images = True
    cuts_images = True
    image_size = 256
    label_smoothing = 0.1
    interface = Interface(
        outputs={"probabilities": "of the classes, in their order; each row adds up to 1"},
        postprocessing=(
            Step("top_k", {"k": result.DEFAULT_TOP_K}, "Report the {k} classes of the largest probabilities."),
        ),
        thresholds={},
        agreement="top-1",
    )

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        return class_folders.read(root, options)

    def check(self, dataset: Dataset, *, thorough: bool) -> list[Finding]:
        return findings(dataset)

    def class_counts(self, target: int) -> Mapping[int, int]:
        return {target: 1}

    def files(self, target: int) -> Sequence[Path]:
        return ()

    def relabel(self, target: int, mapping: Sequence[int]) -> int:
        return mapping[target]

    def anchors(self, dataset: Dataset) -> AnchorSizes:
        raise UsageError("a classifier has no anchors: leave out --anchors data, or the recipe that says it")

    def train_geometry(
        self, rng: np.random.Generator, size: Size, target: int, image_size: int, config: AugmentConfig
    ) -> Geometry:
        return transforms.train_geometry(rng, size, image_size, config)

    def smallest_crop(self, size: Size, config: AugmentConfig) -> int:
        return transforms.smallest_crop(size, config)

    def transform_target(self, target: int, geometry: Geometry) -> int:
        return target

    def collate(self, targets: Sequence[int]) -> "Tensor":
        """(B,) int64."""
        import torch

        return torch.tensor(targets, dtype=torch.int64)

    def batch_augment(self, config: AugmentConfig, num_classes: int) -> "BatchAugment | None":
        from mobilevit.loading.augment import BatchAugment

        return BatchAugment(config, num_classes) if BatchAugment.active(config) else None

    def loss(self, raw: "Tensor", targets: "Tensor", options: LossOptions) -> Loss:
        from mobilevit.tasks.classification.loss import cross_entropy

        return cross_entropy(raw, targets, label_smoothing=options.label_smoothing, class_weights=options.class_weights)

    def postprocess(self, raw: "Tensor") -> "dict[str, Tensor]":
        """(B, K) logits to "probabilities", (B, K), each row adding up to one."""
        return {"probabilities": raw.softmax(dim=1)}

    def decode(
        self,
        outputs: Outputs,
        spec: ModelSpec,
        limits: ResultOptions = ResultOptions(),  # noqa: B008 (frozen)
    ) -> list[result.Classification]:
        return result.decode(outputs["probabilities"], spec.classes, limits)

    def columns(self, spec: ModelSpec, limits: ResultOptions) -> Sequence[str]:
        return result.columns(min(limits.top_k or result.DEFAULT_TOP_K, len(spec.classes)))

    def agreement(self, outputs: Outputs, reference: Outputs, spec: ModelSpec) -> NDArray[np.float32]:
        """1 where the likeliest class is the same."""
        best = [said["probabilities"].argmax(axis=1) for said in (outputs, reference)]
        return np.asarray(best[0] == best[1], np.float32)

    def explanation_target(
        self, outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int
    ) -> ExplanationTarget:
        from mobilevit.tasks.classification.explanation_target import explanation_target

        return explanation_target(outputs, spec, class_index, number)

    def load_target(self, target: int) -> int:
        return target

    def metric(self, spec: ModelSpec) -> ClassificationMetric:
        return ClassificationMetric(spec.classes)

    def draw(self, image: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        return drawing.draw(image, result, None if truth is None else classes[truth])

    def legend(self, dataset: Dataset, width: int) -> Image | None:
        return None

    def draw_target(self, image: Image, target: int, classes: Sequence[ClassLabel]) -> Image:
        """The image as it is: the row that it stands in names its class."""
        return image
