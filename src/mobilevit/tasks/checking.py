"""The verb `check`: find the task of a folder, read it, and hand it to the doctor."""

from pathlib import Path

from mobilevit.datasets import doctor
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.report import DataReport
from mobilevit.images.threads import Progress
from mobilevit.tasks import recognize


def check(
    path: str | Path, *, task: str | None = None, options: ReadOptions | None = None, progress: Progress | None = None
) -> DataReport:
    """Everything that can be said about the dataset at `path` before any training.

    `task` is recognized from the data unless given; `progress` is called with (images done, images in all).
    DataError where the folder cannot be read as a dataset at all; what is wrong inside one is in the report.
    """
    root = Path(path)
    options = options or ReadOptions()
    reader = recognize(root, task, options.data_format)
    return doctor.check(reader, reader.read(root, options), progress)
