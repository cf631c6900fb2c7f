"""What a user calls pictures: files, folders, patterns, addresses, standard input, and pictures in memory.

Expanding opens nothing but folders. What is wrong with a source shows when it is read, as a PictureError, so that one
wrong name among a thousand does not stop the rest.
"""

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from mobilevit.data import folders
from mobilevit.data.decoding import MAX_FILE_BYTES, decode
from mobilevit.errors import DataError, PictureError
from mobilevit.fetching import fetch
from mobilevit.images.video import is_video
from mobilevit.text import printable

Content = Path | str | bytes | Image.Image | np.ndarray  # what `decode` takes
STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Source:
    """One picture: what to call it, and how to get at what `decode` takes."""

    name: str
    content: Callable[[], Content]

    def picture(self) -> Image.Image:
        """Decoded in full, RGB, upright; PictureError."""
        try:
            return decode(self.content())
        except PictureError as error:
            message = str(error)
            if is_video(self.name):
                message = "is a video, and no image: `mobilevit predict` and Predictor.frames read its frames"
            raise PictureError(message if printable(self.name) in message else f"{self.name}: {message}") from error


AnySource = Content | Source  # what a user may call an image, or several


def expand(given: AnySource | Iterable[AnySource]) -> Iterator[Source]:
    """Each image of one source or of many, in their order. A video counts as one."""
    for one in _several(given):
        if isinstance(one, Source):
            yield one
        elif isinstance(one, str):
            yield from _from_text(one)
        elif isinstance(one, Path):
            yield from _from_path(one)
        else:
            yield Source(_name_in_memory(one), partial(_same, one))


def _several(given: AnySource | Iterable[AnySource]) -> Iterable[AnySource]:
    """What can be neither read nor gone through counts as one source too: it is refused when it is read."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | np.ndarray):
        return given
    return [given]


def _from_text(text: str) -> Iterator[Source]:
    """Standard input, an address, a path or, where there is no such path, a pattern."""
    if text == STANDARD_INPUT:
        yield Source("<stdin>", _read_standard_input)
    elif not text:  # as a path it would mean the folder we are in
        yield _broken('""', "the name of the picture is empty")
    elif "://" in text:
        yield Source(text, partial(fetch, text))
    elif glob.has_magic(text) and not os.path.lexists(text):
        yield from _from_pattern(text)
    else:
        yield from _from_path(Path(text))


def _from_pattern(pattern: str) -> Iterator[Source]:
    matches = sorted(glob.glob(os.path.expanduser(pattern), recursive=True))  # noqa: PTH111, PTH207 (Path has no "**" with "~")
    if not matches:
        yield _broken(pattern, "no file has a name of this pattern")
    for match in matches:
        yield from _from_path(Path(match))


def _from_path(path: Path) -> Iterator[Source]:
    """The file, or the pictures of a folder and of the folders inside it, by name."""
    path = path.expanduser()
    if not path.is_dir():
        yield Source(str(path), partial(_same, path))
        return
    try:
        pictures = folders.pictures_below(path)
    except DataError as error:
        yield _broken(str(path), str(error))
        return
    if not pictures:
        yield _broken(str(path), "no pictures in this folder")
    for picture in pictures:
        yield Source(str(picture), partial(_same, picture))


def _name_in_memory(picture: Content) -> str:
    if isinstance(picture, Image.Image):
        return str(getattr(picture, "filename", "")) or "<picture>"
    return "<bytes>" if isinstance(picture, bytes) else "<array>"


def _same(content: Content) -> Content:
    return content


def _broken(name: str, problem: str) -> Source:
    def fail() -> Content:
        raise PictureError(f"{name}: {problem}")

    return Source(name, fail)


def _read_standard_input() -> bytes:
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PictureError(f"standard input has more than {MAX_FILE_BYTES // 2**20} MB: give a file")
    return data
