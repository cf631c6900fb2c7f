"""The tasks, by name: one literal table. Whoever looks a task up here need not know which one it is."""

from pathlib import Path

from mobilevit.data import folders
from mobilevit.errors import DataError, unknown
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


def recognise(root: Path, task: str | None = None) -> Task:
    """The task that the data set at `root` is for, or `task` where it is given.

    DataError where no task knows the layout, and where two do.
    """
    if task is not None:
        return get(task)
    root = folders.require_folder(root)
    fitting = [candidate for candidate in TASKS.values() if candidate.recognises(root)]
    # Folders in a folder can always be taken for classes: that counts where they are nothing else.
    fitting = [candidate for candidate in fitting if candidate is not TASKS["classification"]] or fitting
    if not fitting:
        layouts = "; ".join(f"{candidate.name}: {candidate.layouts}" for candidate in TASKS.values())
        raise DataError(f"{root} is no data set of a known layout. Layouts are, for {layouts}")
    if len(fitting) > 1:
        names = " and ".join(f"--task {candidate.name}" for candidate in fitting)
        raise DataError(f"{root} could be read as different tasks: choose between {names}")
    return fitting[0]
