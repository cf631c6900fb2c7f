"""Opens images of any kind: the header is read and validated, the pixels are not decoded yet."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mobilevit.errors import ImageError
from mobilevit.images.heif import START_BYTES, is_heif, is_still, open_heif
from mobilevit.images.metering import Metered
from mobilevit.text import words_of

Source = os.PathLike[str] | str | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]

# Decoders that read pixels and do nothing else: Pillow's EPS and PDF start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # Pillow opens MPO as the JPEG that it begins with
MAX_PIXELS = 2**27  # 134 million: a phone's 108 megapixels pass
TOO_MANY_PIXELS = f"more than {MAX_PIXELS // 10**6} million pixels"
MAX_FILE_BYTES = 2**29  # no image of so many pixels needs more


@dataclass(frozen=True)
class Opened:
    """An image whose header was read."""

    image: Image.Image
    name: str  # what messages call it
    file: BinaryIO | None = None  # that `image` reads from; None for what was no file
    size_bytes: int = 0  # of the file


# How Matroska, AVI, FLV, ASF, MPEG and Ogg begin; what is of boxes may be a still image too.
VIDEO_START = re.compile(
    rb"\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x00\x00\x01\xba|OggS|....ftyp", re.DOTALL
)


@contextmanager
def opened_image(source: Source) -> Iterator[Opened]:
    """`source` with its header read; ImageError if it is not an image, or unsafe to decode."""
    if isinstance(source, np.ndarray):
        yield _checked(Opened(_from_array(source), "the array"))
    elif isinstance(source, Image.Image):
        yield _checked(Opened(source, str(getattr(source, "filename", "")) or "the image"))
    elif isinstance(source, str | os.PathLike):
        path = Path(os.fsdecode(source))
        with _open_file(path) as file:
            yield _parsed(file, os.fstat(file.fileno()).st_size, str(path))
    else:
        content, name = _content(source)
        yield _parsed(BytesIO(content), len(content), name)


@contextmanager
def decoder_errors(name: str) -> Iterator[None]:
    """Any error inside is caused by the image, and becomes an ImageError.

    Pillow's decoders raise what malformed bytes lead them to: OSError, SyntaxError, ValueError, struct.error,
    MemoryError and more, hence the wide net.
    """
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError:
        kinds = ", ".join((*FORMATS, "HEIC"))
        raise ImageError(f"{name} is not in a supported image format ({kinds}): convert it to JPEG or PNG") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is refused because it has {TOO_MANY_PIXELS}: resize it") from error
    except Exception as error:
        raise ImageError(f"{name} is broken ({words_of(error)}): copy it again, or remove it") from error


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
        raise ImageError(
            f"an array of shape {shape} and type {pixels.dtype} is not an image: "
            "expected uint8 of shape (height, width, 3), RGB, or (height, width)"
        )
    return Image.fromarray(pixels)


def _open_file(path: Path) -> BinaryIO:
    """The open file, after a look at what it is: a pipe would block, and a device never end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{path} is a folder: give the path of an image")
        if not stat.S_ISREG(mode):
            raise ImageError(f"{path} is not a regular file: give the path of an image")
        return path.open("rb")
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist: check the path") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be opened ({words_of(error)}): check the path and its permissions") from error


def _content(source: object) -> tuple[bytes, str]:
    """All bytes of what holds bytes in memory, or of an open file from its beginning; and what to call it."""
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        return content, f"the image of {len(content)} bytes"
    if not hasattr(source, "read"):
        raise ImageError(
            f"{type(source).__name__} is not an image: give a path, bytes, an open file, a Pillow image or an array"
        )
    name = str(getattr(source, "name", "")) or "the open file"
    return _read_all(cast(BinaryIO, source), name), name


def _read_all(file: BinaryIO, name: str) -> bytes:
    try:
        if file.seekable():
            file.seek(0)  # as Pillow does: what has just been written stands at its end
        content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, AttributeError) as error:
        raise ImageError(f"{name} cannot be read ({words_of(error)})") from error
    if not isinstance(content, bytes):
        raise ImageError(f'{name} is open as text: open it with mode "rb"')
    return content


def _parsed(file: BinaryIO, size_bytes: int, name: str) -> Opened:
    """The image in an open file."""
    if size_bytes == 0:
        raise ImageError(f"{name} is empty (0 bytes): copy or download it again")
    if size_bytes > MAX_FILE_BYTES:
        raise ImageError(f"{name} is refused because it is larger than {MAX_FILE_BYTES // 2**20} MB: resize it")
    metered = Metered(file, size_bytes, name)
    with decoder_errors(name):
        start = file.read(START_BYTES)
        file.seek(0)
        if VIDEO_START.match(start) and not is_still(start):
            raise ImageError(
                f"{name} is a video, not an image: to have its frames read, give it the suffix of a video, such as .mp4"
            )
        reader = cast(BinaryIO, metered)
        image = open_heif(reader, name) if is_heif(start) else Image.open(reader, formats=FORMATS)
    metered.header_is_read()
    return _checked(Opened(image, name, file, size_bytes))


def reopened(opened: Opened) -> Opened:
    """The same file from its beginning, nothing of it decoded."""
    assert opened.file is not None, "what was no file has no beginning"
    opened.file.seek(0)
    return _parsed(opened.file, opened.size_bytes, opened.name)


def _checked(opened: Opened) -> Opened:
    width, height = opened.image.size
    if width * height > MAX_PIXELS:
        size = f"({width} x {height})"
        raise ImageError(f"{opened.name} is refused because it has {TOO_MANY_PIXELS} {size}: resize it")
    if 0 in (width, height):
        raise ImageError(f"{opened.name} has no pixels ({width} x {height}): remove it")
    return opened
