"""The Task object that joins everything that makes detection."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mobilevit.datasets import box_reader
from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import UsageError
from mobilevit.images.transforms import AugmentConfig, Geometry, Size
from mobilevit.spec import AnchorSizes, ClassLabel, ModelSpec, Step
from mobilevit.tasks.base import ExplanationTarget, Finding, Interface, Loss, LossOptions, Outputs, ResultOptions
from mobilevit.tasks.detection import crops, drawing, result
from mobilevit.tasks.detection.crops import Seen
from mobilevit.tasks.detection.findings import findings
from mobilevit.tasks.detection.metric import DetectionMetric
from mobilevit.tasks.detection.result_agreement import matched

if TYPE_CHECKING:  # training and explanations import torch when they begin, and whoever predicts never does
    from torch import Tensor

    from mobilevit.loading.augment import BatchAugment
    from mobilevit.models.ssdlite import SSDOutput
    from mobilevit.tasks.detection.matching import BoxBatch

POSTPROCESSING = (
    Step(
        "score_threshold",
        {"score_threshold": result.SCORE_THRESHOLD, "pre_nms_top_k": result.PRE_NMS_TOP_K},
        "Of each class keep the {pre_nms_top_k} highest-scoring anchors, and of those the scores above "
        "{score_threshold:g}.",
    ),
    Step(
        "nms",
        {"iou_threshold": result.IOU_THRESHOLD},
        "Non-maximum suppression within each class: the highest-scoring box removes all boxes whose IoU with it is "
        "above {iou_threshold:g}, then the highest-scoring of the rest, and so on.",
    ),
    Step(
        "max_detections",
        {"max_detections": result.MAX_DETECTIONS},
        "Over all classes keep the {max_detections} highest-scoring boxes.",
    ),
    Step(
        "scale_boxes",
        {"clip": [0, 1]},
        "Clip the normalized coordinates to 0-1 and multiply them by the width and height of the original image.",
    ),
)


class DetectionTask:
    """Boxes around the objects of an image, each with a class; a target is `Boxes`."""

    name = "detection"
    counted = "boxes"
    counts_images = False
    cuts_images = False
    image_size = 320
    label_smoothing = 0.0
    interface = Interface(
        outputs={
            "boxes": "of every anchor: left, top, right, bottom in normalized coordinates, which they may leave",
            "scores": "of every anchor for each class, 0-1; the rest up to 1 is the background's",
        },
        postprocessing=POSTPROCESSING,
        thresholds={
            name: value for step in POSTPROCESSING for name, value in step.parameters.items() if name != "clip"
        },
        agreement="objects",
    )

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        return box_reader.read(root, options)

    def check(self, dataset: Dataset, *, thorough: bool) -> list[Finding]:
        if not thorough:
            return findings(dataset)
        from mobilevit.tasks.detection.fitting import reach_findings

        return [*findings(dataset), *reach_findings(dataset, self.image_size)]

    def class_counts(self, target: Boxes) -> Mapping[int, int]:
        return target.class_counts()

    def files(self, target: Boxes) -> Sequence[Path]:
        return ()

    def relabel(self, target: Boxes, mapping: Sequence[int]) -> Boxes:
        return target.relabeled(mapping)

    def anchors(self, dataset: Dataset) -> AnchorSizes:
        from mobilevit.tasks.detection.fitting import fitted

        return fitted([sample.target for sample in dataset.splits["train"]])

    def train_geometry(
        self, rng: np.random.Generator, size: Size, target: Boxes, image_size: int, config: AugmentConfig
    ) -> Geometry:
        return crops.train_geometry(rng, size, target, image_size, config)

    def smallest_crop(self, size: Size, config: AugmentConfig) -> int:
        return crops.smallest_crop(size, config)

    def transform_target(self, target: Boxes, geometry: Geometry) -> Seen:
        return crops.seen(target, geometry)

    def collate(self, targets: Sequence[Seen]) -> "BoxBatch":
        from mobilevit.tasks.detection.matching import collate

        return collate(targets)

    def batch_augment(self, config: AugmentConfig, num_classes: int) -> "BatchAugment | None":
        from mobilevit.loading.augment import BatchAugment

        if BatchAugment.active(config):
            raise UsageError(
                "--randaugment, --mixup, --cutmix and --erasing are for classification: they know nothing of boxes. "
                "Leave them out, or vary detection by --photometric and --crop-area-min"
            )
        return None

    def loss(self, raw: "SSDOutput", targets: "BoxBatch", options: LossOptions) -> Loss:
        from mobilevit.tasks.detection.loss import multibox

        return multibox(raw, targets, options)

    def postprocess(self, raw: "SSDOutput") -> "dict[str, Tensor]":
        """Of every anchor the "boxes" (B, A, 4), corners in normalized coordinates, not clipped to it, and the "scores"
        (B, A, K), which together with that of the background add up to one."""
        from mobilevit.tasks.detection.box_tensors import decode

        return {"boxes": decode(raw.locations, raw.anchors), "scores": raw.scores.softmax(dim=2)[..., 1:]}

    def decode(
        self,
        outputs: Outputs,
        spec: ModelSpec,
        limits: ResultOptions = ResultOptions(),  # noqa: B008 (frozen)
    ) -> list[result.Detections]:
        return result.decode(outputs, spec, limits)

    def columns(self, spec: ModelSpec, limits: ResultOptions) -> Sequence[str]:
        return result.COLUMNS

    def agreement(self, outputs: Outputs, reference: Outputs, spec: ModelSpec) -> NDArray[np.float32]:
        """The share of the objects of both that both have."""
        return matched(outputs, reference, result.threshold_of(spec))

    def explanation_target(
        self, outputs: Outputs, spec: ModelSpec, class_index: int | None, number: int
    ) -> ExplanationTarget:
        from mobilevit.tasks.detection.explanation_target import explanation_target

        return explanation_target(outputs, spec, class_index, number)

    def load_target(self, target: Boxes) -> Boxes:
        return target

    def metric(self, spec: ModelSpec) -> DetectionMetric:
        return DetectionMetric(spec.classes, result.threshold_of(spec))

    def draw(self, image: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        return drawing.draw(image, result, truth, classes)

    def legend(self, dataset: Dataset, width: int) -> Image | None:
        return drawing.target_legend(dataset, width)

    def draw_target(self, image: Image, target: Boxes, classes: Sequence[ClassLabel]) -> Image:
        return drawing.draw_target(image, target)
