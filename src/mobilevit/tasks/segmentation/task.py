"""The Task object that joins everything that makes segmentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray

from mobilevit.datasets import mask_reader
from mobilevit.datasets.mask_target import Classes, Mask
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import UsageError
from mobilevit.images import decoding
from mobilevit.images.transforms import AugmentConfig, Geometry, Size
from mobilevit.spec import AnchorSizes, ClassLabel, ModelSpec, Step
from mobilevit.tasks.base import ExplanationTarget, Finding, Interface, Loss, LossOptions, Outputs, ResultOptions
from mobilevit.tasks.segmentation import drawing, geometry, result
from mobilevit.tasks.segmentation.findings import findings
from mobilevit.tasks.segmentation.metric import SegmentationMetric

if TYPE_CHECKING:  # training and explanations import torch when they begin, and whoever predicts never does
    from torch import Tensor

    from mobilevit.loading.augment import BatchAugment
    from mobilevit.models.deeplabv3 import SegmentationOutput


class SegmentationTask:
    """A class for every pixel; a target is a `Mask`."""

    name = "segmentation"
    counted = "pixels"
    counts_images = False
    cuts_images = False
    image_size = 512
    label_smoothing = 0.0
    interface = Interface(
        outputs={"class_map": "the index of the class of every pixel, at the size of the input"},
        postprocessing=(
            Step(
                "resize_class_map",
                {"interpolation": "nearest"},
                "Resize the map to the size of the original image; class indices stay whole numbers.",
            ),
        ),
        thresholds={},
        agreement="pixels",
    )

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        return mask_reader.read(root, options)

    def check(self, dataset: Dataset, *, thorough: bool) -> list[Finding]:
        return findings(dataset, thorough=thorough)

    def class_counts(self, target: Mask) -> Mapping[int, int]:
        return target.counts()

    def files(self, target: Mask) -> Sequence[Path]:
        return target.files

    def relabel(self, target: Mask, mapping: Sequence[int]) -> Mask:
        return target.relabeled(tuple(mapping))

    def anchors(self, dataset: Dataset) -> AnchorSizes:
        raise UsageError("a segmenter has no anchors: leave out --anchors data, or the recipe that says it")

    def train_geometry(
        self, rng: np.random.Generator, size: Size, target: Mask, image_size: int, config: AugmentConfig
    ) -> Geometry:
        return geometry.train_geometry(rng, size, image_size, config)

    def smallest_crop(self, size: Size, config: AugmentConfig) -> int:
        return geometry.smallest_crop(size, config)

    def transform_target(self, target: Mask, geometry: Geometry) -> Classes:
        """(S, S) uint8 for a geometry that makes squares of S."""
        return np.array(geometry.mask(fromarray(target.read_for(geometry.source))))

    def collate(self, targets: Sequence[Classes]) -> "Tensor":
        """(B, S, S) uint8."""
        import torch

        return torch.from_numpy(np.stack(targets))

    def batch_augment(self, config: AugmentConfig, num_classes: int) -> "BatchAugment | None":
        """None: images change one by one, with their masks."""
        from mobilevit.loading.augment import BatchAugment

        if BatchAugment.active(config):
            changed = ("randaugment", "mixup", "cutmix", "erasing")
            options = " and ".join(f"--{name}" for name in changed if getattr(config, name))
            raise UsageError(f"{options} would change images and not their masks: leave out for segmentation")
        return None

    def loss(self, raw: "SegmentationOutput", targets: "Tensor", options: LossOptions) -> Loss:
        from mobilevit.tasks.segmentation.loss import cross_entropy

        return cross_entropy(raw, targets, label_smoothing=options.label_smoothing, class_weights=options.class_weights)

    def postprocess(self, raw: "SegmentationOutput") -> "dict[str, Tensor]":
        """(B, K, H, W) logits to "classes", (B, H, W) int32: every runtime has these integers."""
        return {"class_map": raw.logits.argmax(dim=1).int()}

    def decode(
        self,
        outputs: Outputs,
        spec: ModelSpec,
        limits: ResultOptions = ResultOptions(),  # noqa: B008 (frozen)
    ) -> list[result.Segmentation]:
        return result.decode(outputs["class_map"], spec.classes, limits)

    def columns(self, spec: ModelSpec, limits: ResultOptions) -> Sequence[str]:
        return result.COLUMNS

    def agreement(self, outputs: Outputs, reference: Outputs, spec: ModelSpec) -> NDArray[np.float32]:
        """The share of equal pixels."""
        same = outputs["class_map"] == reference["class_map"]
        return np.asarray(same.mean(axis=(1, 2)), np.float32)

    def explanation_target(
        self, outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int
    ) -> ExplanationTarget:
        from mobilevit.tasks.segmentation.explanation_target import explanation_target

        return explanation_target(outputs, spec, class_index, number)

    def load_target(self, target: Mask) -> Classes:
        """(H, W) uint8 at the size of the image."""
        return target.read_for(decoding.header(target.image).size)

    def metric(self, spec: ModelSpec) -> SegmentationMetric:
        return SegmentationMetric(spec.classes)

    def draw(self, image: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        return drawing.draw(image, result, truth, classes)

    def legend(self, dataset: Dataset, width: int) -> Image | None:
        return drawing.target_legend(dataset, width)

    def draw_target(self, image: Image, target: Mask, classes: Sequence[ClassLabel]) -> Image:
        return drawing.draw_target(image, target, classes)
