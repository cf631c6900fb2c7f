"""The Task object that joins everything that makes classification."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from mobilevit.data.sample import Dataset
from mobilevit.spec import ClassLabel, ModelSpec
from mobilevit.tasks.base import TOP, Finding, Loss, Outputs, ReadOptions
from mobilevit.tasks.classification import drawing, reader, result
from mobilevit.tasks.classification.findings import findings
from mobilevit.tasks.classification.loss import cross_entropy
from mobilevit.tasks.classification.metric import ClassificationMetric


class ClassificationTask:
    """One class for a whole picture; a target is the index of the class."""

    name = "classification"

    def recognises(self, root: Path) -> bool:
        return reader.recognises(root)

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        return reader.read(root, options)

    def check(self, dataset: Dataset) -> list[Finding]:
        return findings(dataset)

    def collate(self, targets: Sequence[int]) -> Tensor:
        """(B,) int64."""
        return torch.tensor(targets, dtype=torch.int64)

    def loss(self, raw: Tensor, targets: Tensor, *, label_smoothing: float, class_weights: Tensor | None) -> Loss:
        return cross_entropy(raw, targets, label_smoothing=label_smoothing, class_weights=class_weights)

    def finish(self, raw: Tensor) -> dict[str, Tensor]:
        """(B, K) logits to "probabilities", (B, K), each row adding up to one."""
        return {"probabilities": raw.softmax(dim=1)}

    def decode(self, outputs: Outputs, spec: ModelSpec, top: int = TOP) -> list[result.Classification]:
        return result.decode(outputs["probabilities"], spec.classes, top)

    def relabel(self, target: int, mapping: Sequence[int]) -> int:
        return mapping[target]

    def metric(self, classes: Sequence[ClassLabel]) -> ClassificationMetric:
        return ClassificationMetric(classes)

    def draw(self, picture: Image, result: Any, truth: Any = None, classes: Sequence[ClassLabel] = ()) -> Image:
        return drawing.draw(picture, result, None if truth is None else classes[truth])
