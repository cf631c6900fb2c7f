"""The tasks, by name: one literal table. Whoever looks a task up here need not know which one it is."""

from pathlib import Path

from mobilevit.datasets import recognition
from mobilevit.errors import unknown
from mobilevit.tasks.base import Task
from mobilevit.tasks.classification.task import ClassificationTask
from mobilevit.tasks.detection.task import DetectionTask
from mobilevit.tasks.segmentation.task import SegmentationTask

TASKS: dict[str, Task] = {
    "classification": ClassificationTask(),
    "detection": DetectionTask(),
    "segmentation": SegmentationTask(),
}


def get(name: str) -> Task:
    """The task of that name; UsageError with the nearest names where there is none."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


def recognize(root: Path, task: str | None = None, data_format: str | None = None) -> Task:
    """The task that the dataset at `root` is for: see `datasets.recognition`."""
    return get(recognition.recognize(root, task, data_format))
