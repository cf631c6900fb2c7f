"""Writes a detection data set anew in another format: `mobilevit convert-data`."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mobilevit.data.finding import Finding, counted, inside, listed
from mobilevit.data.sample import Dataset
from mobilevit.data.threads import Progress, in_threads
from mobilevit.errors import OutputError, UsageError, unknown
from mobilevit.files import make_folder
from mobilevit.tasks.base import ReadOptions
from mobilevit.tasks.detection import reader
from mobilevit.tasks.detection.target import UNREADABLE
from mobilevit.tasks.detection.writing import WRITERS, Placed, Writer, copy_picture

DataFormat = Literal["coco", "voc", "yolo"]
READY = ReadOptions()


@dataclass(frozen=True)
class Converted:
    """What was written, and what was mended or left out on the way."""

    folder: Path
    pictures: Mapping[str, int]  # of each split
    boxes: int
    findings: tuple[Finding, ...]


def convert_data(
    source: str | Path,
    target: str | Path,
    *,
    to: DataFormat,
    options: ReadOptions = READY,
    link: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Write the detection data set at `source` to the new folder `target`, all its splits, pictures included.

    The pictures are copied; with `link` they get a second name instead, which takes no room: then changing a picture
    in one place changes it in the other. `target` is there as a whole or not at all. What is mended at reading stays
    mended, and is in the findings, with what the format cannot hold. `progress` is called with (pictures done, in all).
    DataError where the source cannot be read, OutputError where the target is not empty or cannot be written.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    if to not in WRITERS:
        raise unknown("format", to, WRITERS)
    _refuse_target(source, target)
    dataset = reader.read(source, options)
    readable, findings = _readable(dataset)
    writer = WRITERS[to]
    splits = {split: placed for split, placed in writer.placed(readable).items() if placed}
    names = [label.name for label in dataset.classes]
    with _whole_or_not(target) as folder:
        writer.annotations(folder, splits, names)
        _copy(writer, folder, splits, link=link, progress=progress)
    lost = sum(writer.lost(one.boxes) for placed in splits.values() for one in placed)
    boxes = sum(len(one.boxes) for placed in splits.values() for one in placed) - lost
    counts = {split: len(placed) for split, placed in splits.items()}
    return Converted(target, counts, boxes, (*dataset.notes, *findings, *_lost(to, lost)))


def _refuse_target(source: Path, target: Path) -> None:
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{target} lies inside {source}: the two data sets would be read as one; choose another place")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(f"{target} exists and is not empty: choose another folder, or remove it")


def _readable(dataset: Dataset) -> tuple[Dataset, list[Finding]]:
    """Without the pictures that cannot be read, of which no one knows the size."""
    broken = [sample.path for some in dataset.splits.values() for sample in some if sample.target.size == UNREADABLE]
    if not broken:
        return dataset, []
    splits = {
        split: tuple(sample for sample in some if sample.target.size != UNREADABLE)
        for split, some in dataset.splits.items()
    }
    shown = listed([inside(dataset.root, path) for path in broken], 3)
    message = f"{counted(len(broken), 'picture')} that cannot be read, left out: {shown}"
    return replace(dataset, splits=splits), [Finding("warning", "unreadable", message, tuple(broken))]


def _lost(to: DataFormat, count: int) -> list[Finding]:
    reasons = {
        "yolo": "to be ignored, which YOLO has no sign for",
        "voc": "of one pixel or less, which VOC cannot hold",
    }
    return [Finding("warning", "lost-box", f"{counted(count, 'box')} {reasons[to]}, left out")] if count else []


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
    in_threads(lambda pair: copy_picture(*pair, link=link), pairs, progress)
