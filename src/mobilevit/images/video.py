"""Video files and cameras, read by PyAV as upright RGB frames with their times, one at a time."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

from mobilevit.errors import ImageError, MissingExtraError, UsageError
from mobilevit.images.opening import MAX_PIXELS, TOO_MANY_PIXELS, opened_image

SUFFIXES = frozenset(
    {
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".qt",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    }
)
CAMERA = re.compile(r"camera:(\d{1,3})")

# What a file may contain, whatever its name says. A playlist would have FFmpeg open other files and URLs.
CONTAINERS = "avi,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mpeg,mpegts,ogg,asf"


@dataclass(frozen=True)
class Location:
    """A source of frames: what FFmpeg opens, and its reader (None: by the content of the file)."""

    name: str  # for people
    target: str
    reader: str | None = None


@dataclass(frozen=True)
class Frame:
    """One image of a video."""

    index: int  # from 0, every frame counted, those left out as well
    seconds: float | None  # from the start of the video; None where the stream has no times
    rate: Fraction  # frames per second of the video, on average
    image: Image.Image  # RGB, upright


def is_video(name: str) -> bool:
    """Whether `name` is a camera, or a path with the suffix of a video."""
    return CAMERA.fullmatch(name) is not None or ("://" not in name and Path(name).suffix.lower() in SUFFIXES)


def locate(name: str) -> Location:
    """The file, or the camera "camera:N" of this machine."""
    camera = CAMERA.fullmatch(name)
    if camera is None:
        return Location(name, name)
    if sys.platform == "darwin":
        return Location(name, camera[1], "avfoundation")
    if sys.platform == "win32":
        return Location(name, f"video={camera[1]}", "dshow")
    return Location(name, f"/dev/video{camera[1]}", "v4l2")


class Video:
    """An opened video: iterate over it once for its frames.

    `count` is the expected number of frames, None if unknown, as for a camera; `rate` the average number of frames per
    second. ImageError, on opening, if it is not a readable video.
    """

    def __init__(self, location: Location, every: int = 1) -> None:
        """Only every `every`-th frame is converted and returned, starting with the first."""
        if every < 1:
            raise UsageError(f"`every` is {every}: it must be 1 or more")
        self.name, self.every, self.is_live = location.name, every, CAMERA.fullmatch(location.name) is not None
        self._container, self._stream = _opened(location)
        self.rate = Fraction(self._stream.average_rate or self._stream.base_rate or DEFAULT_RATE)
        frames = _frames(self._stream, self._container.duration, self.rate)
        self.count = None if frames is None else -(-frames // every)

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order.

        What cannot be decoded is skipped, and an ImageError at the end reports it.
        """
        index = damaged = 0
        with self._container, _named(self.name, lambda: f"breaks off after {index:,} frames"):
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except pyav().error.InvalidDataError:
                    damaged += 1
                    continue
                for frame in frames:
                    if index % self.every == 0:
                        yield Frame(index, self._seconds(frame), self.rate, _upright(frame, self.name))
                    index += 1
        if damaged or not index:
            raise ImageError(f"{self.name} has {damaged:,} damaged packets; {index:,} frames could be decoded")

    def _seconds(self, frame: Any) -> float | None:
        if frame.pts is None:
            return None
        return float((frame.pts - (self._stream.start_time or 0)) * frame.time_base)


DEFAULT_RATE = 25  # frames per second, where a stream does not say


def _opened(location: Location) -> tuple[Any, Any]:
    av = pyav()
    if location.reader is None and not Path(location.target).is_file():
        raise ImageError(f"{location.name} does not exist: check the path")
    options = {} if location.reader else {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    with _named(location.name, lambda: "is not available" if location.reader else _no_video(location.target)):
        container = av.open(location.target, format=location.reader, options=options)
        if not container.streams.video:
            raise ImageError(f"{location.name} has no video stream, only sound")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise ImageError(f"{location.name} has a codec that FFmpeg does not support here: convert it to H.264")
        stream.thread_type = "AUTO"
        _refuse_huge(stream.codec_context.width, stream.codec_context.height, location.name)
        return container, stream


def _no_video(path: str) -> str:
    """Why a file is none, and what to do where it is an image."""
    try:
        with opened_image(path) as found:
            kind = found.image.format or ""
    except ImageError:
        return "cannot be read as a video"
    return f"is an image ({kind}), not a video: give it the suffix of an image, such as .{kind.lower()}"


@contextmanager
def _named(name: str, problem: Callable[[], str]) -> Iterator[None]:
    """FFmpeg's errors as ours."""
    try:
        yield
    except (pyav().error.FFmpegError, ValueError) as error:
        raise ImageError(f"{name} {problem()} ({getattr(error, 'strerror', None) or error})") from error


def pyav() -> ModuleType:
    """The package; MissingExtraError where it is not installed."""
    try:
        import av
    except ImportError:
        raise MissingExtraError('videos and cameras need PyAV: pip install "mobilevit[video]"') from None
    return av


def _refuse_huge(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name} is refused because its frames have {TOO_MANY_PIXELS}: make them smaller")


def _frames(stream: Any, duration_us: int | None, rate: Fraction) -> int | None:
    """What the file states, or what follows from how long it is."""
    return stream.frames or (round(duration_us * rate / 10**6) if duration_us else None)


def _upright(frame: Any, name: str) -> Image.Image:
    """RGB, turned as the display matrix says: phones film in the camera's own orientation."""
    _refuse_huge(frame.width, frame.height, name)
    image: Image.Image = frame.to_image()
    quarter_turns = round(frame.rotation / 90) % 4
    return image.transpose(TURNS[quarter_turns]) if quarter_turns else image


TURNS = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
