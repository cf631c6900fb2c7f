"""The output formats of `predict --output FOLDER`: one class per name of `--format`."""

import csv
import os
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from PIL.Image import Image

from mobilevit.datasets.finding import counted
from mobilevit.errors import OutputError
from mobilevit.files import PartialFile, unused, write_atomically
from mobilevit.images.video_writer import VideoWriter
from mobilevit.inference import FrameResult, ImageFailure
from mobilevit.tasks.base import Result
from mobilevit.text import printable, to_json

Said = Result | FrameResult
Outcome = Said | ImageFailure


class Output(Protocol):
    """Writes results to a folder, in order. Created with the folder and the columns of all records."""

    def add(self, said: Said, drawn: Image | None) -> None:
        """`drawn` is the image with the result drawn on it, for the format "image" only."""
        ...

    def close(self) -> str:
        """Complete the output, also after an interruption; returns a description of what was written."""
        ...

    def discard(self) -> None:
        """Remove incomplete output."""
        ...


class Drawings:
    """Drawn images, named like their sources and numbered if that name exists; a video stays a video."""

    def __init__(self, folder: Path, _columns: Sequence[str]) -> None:
        self.folder, self.images, self.videos = folder, 0, 0
        self.video: VideoWriter | None = None
        self.video_source = ""

    def add(self, said: Said, drawn: Image | None) -> None:
        assert drawn is not None
        if isinstance(said, FrameResult):
            self._writer(said.source).add(drawn, said.frame)
            return
        self._finish_video()
        write_image(self.folder, said, drawn, "JPEG")
        self.images += 1

    def _writer(self, source: str) -> VideoWriter:
        if self.video is None or self.video_source != source:
            self._finish_video()
            self.video, self.video_source = VideoWriter(unused(self.folder / f"{stem(source)}.mp4")), source
            self.videos += 1
        return self.video

    def _finish_video(self) -> None:
        if self.video is not None:
            self.video.close()
            self.video = None

    def close(self) -> str:
        self._finish_video()
        kinds = [counted(self.images, "image")] if self.images or not self.videos else []
        return " and ".join([*kinds, *([counted(self.videos, "video")] if self.videos else [])])

    def discard(self) -> None:
        if self.video is not None:
            self.video.discard()


class Masks:
    """Class maps as palette PNGs, named like the drawn images; for a video, one per frame."""

    def __init__(self, folder: Path, _columns: Sequence[str]) -> None:
        self.folder, self.count = folder, 0

    def add(self, said: Said, _drawn: Image | None) -> None:
        mask = said.mask()
        assert mask is not None, "asked before the folder is made"
        write_image(self.folder, said, mask, "PNG")
        self.count += 1

    def close(self) -> str:
        return counted(self.count, "mask")

    def discard(self) -> None: ...


class _Lines:
    """A file of lines that gets its name once it is complete."""

    name: str

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.path, self.columns, self.count = unused(folder / self.name), columns, 0
        self.partial = PartialFile(self.path)
        self.file = self.partial.temporary.open("w", encoding="utf-8", newline="")

    def close(self) -> str:
        try:
            self.file.close()
            self.partial.finish()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        return self.path.name

    def discard(self) -> None:
        self.file.close()
        self.partial.discard()


class JsonLines(_Lines):
    """results.jsonl: an object for each image or frame."""

    name = "results.jsonl"

    def add(self, said: Said, _drawn: Image | None) -> None:
        self.file.write(to_json(said.to_dict()) + "\n")


class Csv(_Lines):
    """results.csv: the rows of `--csv`."""

    name = "results.csv"

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        super().__init__(folder, columns)
        self.rows = csv.DictWriter(self.file, columns, lineterminator="\n")
        self.rows.writeheader()

    def add(self, said: Said, _drawn: Image | None) -> None:
        self.rows.writerows(records_of(said))


def records_of(said: Said) -> list[dict[str, Any]]:
    """Rows of a CSV file, with every text on one line."""
    return [
        {name: printable(value) if isinstance(value, str) else value for name, value in record.items()}
        for record in said.records()
    ]


FORMATS: dict[str, Callable[[Path, Sequence[str]], Output]] = {
    "image": Drawings,
    "mask": Masks,
    "jsonl": JsonLines,
    "csv": Csv,
}


def write_image(folder: Path, said: Said, image: Image, kind: str) -> None:
    """Named like the source, with the frame number if there is one, and numbered if that name exists."""
    number = f"-{said.frame.index:06}" if isinstance(said, FrameResult) else ""
    encoded = BytesIO()
    image.save(encoded, kind, quality=90)
    suffix = {"JPEG": ".jpg", "PNG": ".png"}[kind]
    write_atomically(unused(folder / f"{stem(said.source)}{number}{suffix}"), encoded.getvalue())


def stem(source: str) -> str:
    """A file name derived from `source`: a path, a URL, "<stdin>" or "camera:0"."""
    name = Path(source.strip("<>").replace(":", "-")).stem or "image"
    return os.fsencode(name)[:LONGEST_STEM].decode("utf-8", "ignore")


LONGEST_STEM = 200  # bytes, of the 255 that a name may have: a number, a suffix and what is temporary come to it
