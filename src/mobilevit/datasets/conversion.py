"""Converts a dataset of boxes or masks to another format: `mobilevit convert-data`."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mobilevit.datasets import box_reader, box_writers, mask_reader, mask_writers
from mobilevit.datasets.box_target import UNREADABLE, Boxes
from mobilevit.datasets.finding import Finding, counted, inside, listed
from mobilevit.datasets.instance_masks import InstanceMask
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.placing import Placed, Writer, copy_image
from mobilevit.datasets.recognition import READERS, recognize
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.errors import DataError, OutputError, UsageError, unknown
from mobilevit.files import make_folder
from mobilevit.images.threads import Progress, in_threads
from mobilevit.spec import labels

DataFormat = Literal["coco", "coco-polygons", "voc", "yolo", "masks"]
READY = ReadOptions()
WRITERS: Mapping[str, Mapping[str, Writer]] = {
    "detection": box_writers.WRITERS,
    "segmentation": mask_writers.WRITERS,
}


@dataclass(frozen=True)
class Converted:
    """What was written, and what was mended or left out on the way."""

    folder: Path
    images: Mapping[str, int]  # of each split
    boxes: int
    findings: tuple[Finding, ...]
    masks: int = 0


def convert_data(
    source: str | Path,
    target: str | Path,
    *,
    to: DataFormat,
    task: str | None = None,
    instances: str | None = None,
    options: ReadOptions = READY,
    link: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write the dataset of boxes or masks at `source` to the new folder `target`, all its splits, images included.

    `task` says what it is read as, "detection" or "segmentation": recognized unless given; COCO's files are both, and
    taken as boxes where `to` leaves it open. With `instances`, the name of a class, the values of masks are objects of
    that class: they become boxes, or one class of masks where `to` has no boxes.

    The images are copied; with `link` they get a second name instead, which takes no room: then changing an image
    in one place changes it in the other. `target` is there as a whole or not at all. What is mended at reading stays
    mended, and is in the findings, with what the format cannot hold. `progress` is called with (images done, in all).
    DataError where the source cannot be read, ImageError where a mask cannot, OutputError where the target is not
    empty or cannot be written.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    formats = dict.fromkeys(name for writers in WRITERS.values() for name in writers)
    if to not in formats:
        raise unknown("format", to, formats)
    _refuse_target(source, target)
    dataset, findings = _read(source, to, task, instances, options)
    writer = WRITERS[dataset.task][to]
    splits = {split: placed for split, placed in writer.placed(dataset).items() if placed}
    names = [label.name for label in dataset.classes]
    with _whole_or_not(target) as folder:
        writer.annotations(folder, splits, names)
        _copy(writer, folder, splits, link=link, progress=progress)
    counts = {split: len(placed) for split, placed in splits.items()}
    if dataset.task == "segmentation":
        return Converted(target, counts, 0, dataset.notes, sum(counts.values()))
    lost = sum(writer.lost(one.target) for placed in splits.values() for one in placed)
    boxes = sum(len(one.target) for placed in splits.values() for one in placed) - lost
    return Converted(target, counts, boxes, (*dataset.notes, *findings, *_lost(to, lost)))


def _read(
    source: Path, to: str, task: str | None, instances: str | None, options: ReadOptions
) -> tuple[Dataset, list[Finding]]:
    """The dataset as the task whose formats `to` is one of."""
    if instances is not None:
        if not instances.strip():
            raise UsageError("`instances` is empty: give the class name of the objects in instance masks")
        dataset = mask_reader.read_instances(source, instances, options)
        return (_boxed(dataset) if to in box_writers.WRITERS else dataset), []
    name = task or _task_for(source, to, options.data_format)
    if name not in WRITERS or to not in WRITERS[name]:
        raise UsageError(f"{to} is not a format for {name}: {_holders(to)}")
    dataset = READERS[name].read(source, options)
    return _readable(dataset) if name == "detection" else (dataset, [])


def _task_for(source: Path, to: str, data_format: str | None) -> str:
    """That of the only writers of the format; of several, the one that the source is recognized as."""
    able = [name for name, writers in WRITERS.items() if to in writers]
    if data_format is not None:
        able = [name for name in able if data_format in READERS[name].FORMATS] or able
    if len(able) > 1:
        name = recognize(source, data_format=data_format)
        if name not in able:
            raise DataError(f"{source} is a classification dataset: boxes or masks are expected")
        return name
    if able == ["segmentation"] and box_reader.recognizes(source) and not mask_reader.readable(source):
        raise DataError(
            f"{source} has boxes, but {to} is a format for masks, which cannot be made from boxes: outlines are "
            f"needed, as COCO's segmentation has them. Boxes can be written as {listed(list(box_writers.WRITERS))}"
        )
    if able == ["detection"] and mask_reader.recognizes(source) and not box_reader.recognizes(source):
        raise DataError(
            f"{source} has masks, but {to} is a format for boxes: choose a format for masks, or give the class name of "
            "instance masks as `instances`"
        )
    return able[0]


def _holders(to: str) -> str:
    return f"it is for {listed([name for name, writers in WRITERS.items() if to in writers])}"


def _boxed(dataset: Dataset) -> Dataset:
    """Boxes around the objects of instance masks, all of one class."""

    def boxed(sample: Sample) -> Sample:
        mask: InstanceMask = sample.target
        height, width = mask.numbers().shape
        corners = mask.boxes()
        return replace(sample, target=Boxes.of(corners, [0] * len(corners), (width, height)))

    splits = {split: tuple(in_threads(boxed, samples)) for split, samples in dataset.splits.items()}
    return replace(dataset, task="detection", classes=labels([dataset.classes[1].name]), splits=splits)


def _refuse_target(source: Path, target: Path) -> None:
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{target} lies inside {source}: the two datasets would be read as one; choose another folder")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target} exists and is not empty: choose another folder, or remove it")


def _readable(dataset: Dataset) -> tuple[Dataset, list[Finding]]:
    """Without the images that cannot be read, of which no one knows the size."""
    broken = [sample.path for some in dataset.splits.values() for sample in some if sample.target.size == UNREADABLE]
    if not broken:
        return dataset, []
    splits = {
        split: tuple(sample for sample in some if sample.target.size != UNREADABLE)
        for split, some in dataset.splits.items()
    }
    shown = listed([inside(dataset.root, path) for path in broken], 3)
    message = f"{counted(len(broken), 'image')} that cannot be read, skipped: {shown}"
    return replace(dataset, splits=splits), [Finding("warning", "unreadable", message, tuple(broken))]


def _lost(to: str, count: int) -> list[Finding]:
    reasons = {
        "yolo": "marked as ignored, which YOLO cannot express",
        "voc": "of one pixel or less, which VOC cannot store",
    }
    return [Finding("warning", "lost-box", f"{counted(count, 'box')} {reasons[to]}, skipped")] if count else []


@contextmanager
def _whole_or_not(target: Path) -> Iterator[Path]:
    """A folder beside `target` that takes its name at the end; nothing is left of it after an error."""
    parent = make_folder(target.parent)
    try:
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}."))
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}. Choose another folder.") from error
    try:
        content = make_folder(temporary / target.name)  # with the permissions that new folders get
        yield content
        if target.exists():
            target.rmdir()
        content.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error} ({error.filename})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy(
    writer: Writer, root: Path, splits: Mapping[str, list[Placed]], *, link: bool, progress: Progress | None
) -> None:
    pairs = [(one.source, writer.folder(root, split) / one.name) for split, placed in splits.items() for one in placed]
    in_threads(lambda pair: copy_image(*pair, link=link), pairs, progress)
