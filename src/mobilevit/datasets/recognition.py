"""The task of a dataset on disk, recognized by the readers of each task: one literal table."""

from pathlib import Path
from types import ModuleType

from mobilevit.datasets import box_reader, class_folders, companions, mask_reader, strangers
from mobilevit.datasets.listing import Listing
from mobilevit.errors import DataError, unknown
from mobilevit.images import folders

# By task: modules with FORMATS (by name), LAYOUTS (for people), `recognizes`, `readable` (when asked for) and `read`.
READERS: dict[str, ModuleType] = {
    "classification": class_folders,
    "detection": box_reader,
    "segmentation": mask_reader,
}
CLASSES = "classification"


def recognize(root: Path, task: str | None = None, data_format: str | None = None) -> str:
    """The task of the dataset at `root`: `task` if given, otherwise one that has `data_format`.

    DataError if no reader knows the layout, if readers of two tasks do, or if the layout is not for `task`. UsageError
    for a task or a format that does not exist.
    """
    if task is not None and task not in READERS:
        raise unknown("task", task, READERS)
    root = folders.require_folder(root)
    candidates = [task] if task else _with_format(data_format)
    fitting = [name for name in candidates if _fits(READERS[name], root, asked=task is not None)]
    # Folders in a folder can always be taken for classes: that counts where they are nothing else.
    fitting = [name for name in fitting if name != CLASSES] or fitting
    if len(fitting) > 1:
        names = " or ".join(f"`task={name}`" for name in fitting)
        raise DataError(f"{root} could be for several tasks: choose one with {names}")
    if task:
        _refuse_another(root, task, is_fitting=bool(fitting))
        return task
    if data_format is not None and not fitting:
        return candidates[0]  # whose reader says what it looked for, and what lies there
    if fitting in ([], [CLASSES]):
        _refuse_companions(root)
    if not fitting and len(candidates) == 1:
        return candidates[0]  # whose reader says what is missing
    if not fitting:
        layouts = "; ".join(f"{name}: {READERS[name].LAYOUTS}" for name in candidates)
        said = f". It has {found}, which no reader knows" if (found := companions.list_of_images(Listing(root))) else ""
        raise DataError(f"{root} has no known dataset layout{said}. Supported layouts: {layouts}")
    return fitting[0]


def _fits(reader: ModuleType, root: Path, *, asked: bool) -> bool:
    return bool(reader.readable(root) if asked else reader.recognizes(root))


def _with_format(data_format: str | None) -> list[str]:
    """The tasks whose readers have a format of that name; all where it is None."""
    if data_format is None:
        return list(READERS)
    found = [name for name, reader in READERS.items() if data_format in reader.FORMATS]
    if not found:
        formats = dict.fromkeys(name for reader in READERS.values() for name in reader.FORMATS)
        raise unknown("`data_format`", data_format, formats)
    return found


def _refuse_another(root: Path, task: str, *, is_fitting: bool) -> None:
    """DataError where the dataset is laid out for another task and not for the one that is asked for."""
    others = [name for name in READERS if name not in (task, CLASSES)]
    named = [] if is_fitting else [name for name in others if READERS[name].recognizes(root)]
    if named:
        raise DataError(
            f"{root} has a layout for {named[0]}, not for {task}: leave out `task={task}`, or the model for {task}"
        )


def _refuse_companions(root: Path) -> None:
    """DataError where images have annotations or masks beside them that no reader knows."""
    listing = Listing(root)
    if found := strangers.found(listing):
        raise DataError(f"{root} has {found}")
    if found := companions.annotations(listing):
        raise DataError(
            f"{root} has {found}, which are not supported. Convert them to COCO, Pascal VOC or YOLO; or, if the "
            "folders of the images are classes nevertheless, set `task=classification`"
        )
    if found := companions.masks(listing):
        raise DataError(
            f"{root} has {found}, in no supported layout: put the images into images/ and the masks into masks/ "
            "under the same names; or, if the folders are classes nevertheless, set `task=classification`"
        )
