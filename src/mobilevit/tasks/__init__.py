"""The tasks, by name: one literal table. Whoever looks a task up here need not know which one it is."""

from pathlib import Path

from mobilevit.data import folders
from mobilevit.datasets import companions, strangers
from mobilevit.datasets.listing import Listing
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


def recognize(root: Path, task: str | None = None, data_format: str | None = None) -> Task:
    """The task that the dataset at `root` is for: `task` where it is given, else one that has `data_format`.

    DataError where no task knows the layout, where two do, or where `task` is not what the layout is of. UsageError for
    a task or a format that does not exist.
    """
    chosen = None if task is None else get(task)
    root = folders.require_folder(root)
    candidates = [chosen] if chosen else _with_format(data_format)
    fitting = [candidate for candidate in candidates if candidate.recognizes(root, asked=chosen is not None)]
    # Folders in a folder can always be taken for classes: that counts where they are nothing else.
    fitting = [candidate for candidate in fitting if candidate is not TASKS["classification"]] or fitting
    if len(fitting) > 1:
        names = " and ".join(f"--task {candidate.name}" for candidate in fitting)
        raise DataError(f"{root} could be read as different tasks: choose between {names}")
    if chosen:
        _refuse_another(root, chosen, is_fitting=bool(fitting))
        return chosen
    if data_format is not None and not fitting:
        return candidates[0]  # whose reader says what it looked for, and what lies there
    if fitting in ([], [TASKS["classification"]]):
        _refuse_companions(root)
    if not fitting and len(candidates) == 1:
        return candidates[0]  # whose reader says what is missing
    if not fitting:
        layouts = "; ".join(f"{candidate.name}: {candidate.layouts}" for candidate in candidates)
        said = f". It has {found}, which no reader knows" if (found := companions.list_of_images(Listing(root))) else ""
        raise DataError(f"{root} is no dataset of a known layout{said}. Layouts are, for {layouts}")
    return fitting[0]


def _with_format(name: str | None) -> list[Task]:
    """The tasks that have a format of that name; all where it is None."""
    if name is None:
        return list(TASKS.values())
    found = [task for task in TASKS.values() if name in task.data_formats]
    if not found:
        raise unknown(
            "--data-format", name, dict.fromkeys(name for task in TASKS.values() for name in task.data_formats)
        )
    return found


def _refuse_another(root: Path, chosen: Task, *, is_fitting: bool) -> None:
    """DataError where the dataset is laid out for another task and not for the one that is asked for."""
    others = [] if is_fitting else [task for task in TASKS.values() if task is not chosen and task.recognizes(root)]
    named = [task.name for task in others if task is not TASKS["classification"]]
    if named:
        raise DataError(
            f"{root} is laid out for {named[0]}, not for {chosen.name}: leave --task {chosen.name} out, "
            "or a model that is for it"
        )


def _refuse_companions(root: Path) -> None:
    """DataError where images have annotations or masks beside them that no reader knows."""
    listing = Listing(root)
    if found := strangers.found(listing):
        raise DataError(f"{root} has {found}")
    if found := companions.annotations(listing):
        raise DataError(
            f"{root} has {found}, and no reader knows them. Convert them to COCO, Pascal VOC or YOLO; or, where the "
            "folders of the images are classes all the same, say --task classification"
        )
    if found := companions.masks(listing):
        raise DataError(
            f"{root} has {found}, in no layout that is read: put the images into images/ and the masks into masks/ "
            "under the same names; or, where the folders are classes all the same, say --task classification"
        )
