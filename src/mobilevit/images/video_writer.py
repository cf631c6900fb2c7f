"""Frames to a video file, by PyAV: written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from mobilevit.errors import OutputError
from mobilevit.files import PartialFile
from mobilevit.images.video import Frame, pyav

TICKS = 30_000  # per second: divides the usual rates, those of 1001 as well, and is below MPEG-4's limit of 65,535


class VideoWriter:
    """Frames as an MP4 file. It has its name only after `close`, which is for an interruption too.

    H.264 where this build of FFmpeg has it, else MPEG-4; no sound. The first image decides the size. Both want even
    numbers: where one is odd, the last column or row is there twice. Each image is shown at its frame's own time, so a
    varying rate stays.
    """

    def __init__(self, path: Path) -> None:
        """OutputError if `path` is not writable."""
        self.path = path
        self._stream: Any = None
        self._last = -1  # the time of the frame before, in ticks
        self._file = PartialFile(path)
        with self._problems_named():
            self._container = pyav().open(str(self._file.temporary), "w", format="mp4")

    def add(self, image: Image.Image, frame: Frame) -> None:
        """Append `image` as what is shown at the time of `frame`, which it was made of. OutputError."""
        with self._problems_named():
            if self._stream is None:
                self._begin(image.width, image.height, frame.rate)
            shown = pyav().VideoFrame.from_image(_filled_up(image, self._size))
            seconds = frame.index / frame.rate if frame.seconds is None else frame.seconds
            shown.pts = self._last = max(self._last + 1, round(seconds * TICKS))
            shown.time_base = Fraction(1, TICKS)
            self._container.mux(self._stream.encode(shown))

    def _begin(self, width: int, height: int, rate: Fraction) -> None:
        self._size = width + width % 2, height + height % 2
        self._stream = self._container.add_stream(_encoder(), rate=rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, TICKS)

    def close(self) -> None:
        """Write what is left, and give the file its name; nothing is left where there was no frame."""
        if self._stream is None:
            self.discard()
            return
        with self._problems_named():
            self._container.mux(self._stream.encode())
            self._container.close()
            self._file.finish()

    def discard(self) -> None:
        """Remove what was written."""
        self._container.close()
        self._file.discard()

    @contextmanager
    def _problems_named(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pyav().error.FFmpegError) as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror or error}") from error


def _filled_up(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at the upper left of one of `size`; reduced where it is larger.

    A row or column that is missing to an even number repeats the one before; what else is missing is black.
    """
    if image.width > size[0] or image.height > size[1]:
        image = ImageOps.contain(image, size)
    missing = size[0] - image.width, size[1] - image.height
    if missing == (0, 0):
        return image
    if max(missing) == 1:
        return Image.fromarray(np.pad(np.asarray(image), ((0, missing[1]), (0, missing[0]), (0, 0)), mode="edge"))
    canvas = Image.new("RGB", size)
    canvas.paste(image)
    return canvas


def _encoder() -> str:
    """The name of the best that this build of FFmpeg has."""
    av = pyav()
    for name in ("libx264", "libopenh264"):
        try:
            return str(av.codec.Codec(name, "w").name)
        except av.codec.codec.UnknownCodecError:
            continue
    return "mpeg4"
