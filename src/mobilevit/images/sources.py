"""Image sources: files, folders, patterns, URLs, standard input, and images in memory.

Expanding opens nothing but folders. What is wrong with a source shows when it is read, as an ImageError, so that one
wrong name among a thousand does not stop the rest.
"""

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mobilevit.errors import ImageError
from mobilevit.files import expanded
from mobilevit.images import folders, opening
from mobilevit.images.decoding import opened
from mobilevit.images.fetching import fetch
from mobilevit.images.opening import MAX_FILE_BYTES
from mobilevit.images.video import is_video
from mobilevit.text import printable

Content = opening.Source  # what `decode` takes
STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Source:
    """One image: its name, and how to get its content."""

    name: str
    content: Callable[[], Content]

    def image(self) -> Image.Image:
        """The decoded image, RGB, upright; ImageError."""
        with self.lent() as image:
            return image

    @contextmanager
    def lent(self) -> Iterator[Image.Image]:
        """The image, whose memory counts as used until the end, to bound how many large ones are in memory."""
        with ExitStack() as held:
            try:
                image = held.enter_context(opened(self.content())).decode()
            except ImageError as error:
                message = str(error)
                if is_video(self.name):
                    message = f"{self.name} is a video, not an image: use `mobilevit predict` or Predictor.frames"
                raise ImageError(message if printable(self.name) in message else f"{self.name}: {message}") from error
            yield image


AnySource = Content | Source  # what a user may call an image, or several


def expand(given: AnySource | Iterable[AnySource]) -> Iterator[Source]:
    """Every image of one source or of several, in order. A video counts as one."""
    for one in _several(given):
        if isinstance(one, Source):
            yield one
        elif isinstance(one, str):
            yield from _from_text(one)
        elif isinstance(one, os.PathLike):
            yield from _from_path(Path(os.fsdecode(one)))
        else:
            yield Source(_name_in_memory(one), partial(_same, one))


def _several(given: AnySource | Iterable[AnySource]) -> Iterable[AnySource]:
    """What can be neither read nor gone through counts as one source too: it is refused when it is read."""
    is_one = isinstance(given, ONE) or hasattr(given, "read") or type(given).__module__ == "torch"
    return [given] if is_one or not isinstance(given, Iterable) else given  # type: ignore[list-item, return-value]


# Kinds that have pieces and are one image. So is an open file, whose pieces are lines.
ONE = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray)


def _from_text(text: str) -> Iterator[Source]:
    """Standard input, a URL, a path or, where there is no such path, a pattern."""
    if text == STANDARD_INPUT:
        yield Source("<stdin>", _read_standard_input)
    elif not text:  # as a path it would mean the folder we are in
        yield _broken('""', "empty image name")
    elif "://" in text:
        yield Source(text, partial(fetch, text))
    elif glob.has_magic(text) and not os.path.lexists(text):
        yield from _from_pattern(text)
    else:
        yield from _from_path(Path(text))


def _from_pattern(pattern: str) -> Iterator[Source]:
    matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))  # noqa: PTH111, PTH207 (Path has no "**" with "~")
    if not matches:
        yield _broken(pattern, "no file matches this pattern")
    for match in matches:
        yield from _from_path(Path(match))


def _from_path(path: Path) -> Iterator[Source]:
    """The file, or the images of a folder and of the folders inside it, by name."""
    path = expanded(path)
    if not os.path.isdir(path):  # noqa: PTH112 (Path raises where a name is too long, or a folder may not be entered)
        yield Source(str(path), partial(_same, path))
        return
    refusals: list[str] = []
    images = folders.images_below(path, refused=lambda error: refusals.append(str(error)))
    for image in images:
        yield Source(str(image), partial(_same, image))
    for refusal in refusals:
        yield _broken(str(path), refusal)
    if not images and not refusals:
        yield _broken(str(path), "no images in this folder")


def _name_in_memory(image: Content) -> str:
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "")) or "<image>"
    if hasattr(image, "read"):
        return str(getattr(image, "name", "")) or "<file>"
    return "<bytes>" if isinstance(image, bytes | bytearray | memoryview) else "<array>"


def _same(content: Content) -> Content:
    return content


def _broken(name: str, problem: str) -> Source:
    def fail() -> Content:
        raise ImageError(f"{name}: {problem}")

    return Source(name, fail)


def _read_standard_input() -> bytes:
    if sys.stdin is None:
        raise ImageError("standard input is closed: give a file")
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"standard input has more than {MAX_FILE_BYTES // 2**20} MB: give a file")
    return data
