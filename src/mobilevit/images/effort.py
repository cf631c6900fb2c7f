"""The cost of decoding an image, estimated in advance: a tiny file can take minutes, or gigabytes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NoReturn

from PIL import Image, ImageFile
from PIL.TiffImagePlugin import (
    STRIPBYTECOUNTS,
    STRIPOFFSETS,
    TILEBYTECOUNTS,
    TILEOFFSETS,
    TiffImageFile,
)

from mobilevit.errors import ImageError
from mobilevit.images.memory import MAX_DECODING_BYTES, MEMORY, decoding_bytes
from mobilevit.images.opening import MAX_PIXELS, Opened

MAX_SCANS = 100  # encoders write about ten
MAX_SCANNED_PIXELS = 16 * MAX_PIXELS  # each scan goes over all pixels again, with as few bytes as it likes
MAX_RUN_LENGTH_PIXELS = 2**24  # Pillow decodes such BMP files in Python


@contextmanager
def afforded(opened: Opened, full_size: tuple[int, int]) -> Iterator[None]:
    """The memory to decode `opened` is taken inside, after waiting for it where other threads have it.

    `full_size` is its size before it was asked to come out smaller. ImageError, before anything is decoded, where it
    would take too long, or more memory than there may be in all.
    """
    image, pixels, scans = opened.image, full_size[0] * full_size[1], _scans(opened)
    if scans > MAX_SCANS or scans * pixels > MAX_SCANNED_PIXELS:
        _refuse(opened.name, f"decoding its {scans:,} scans would take too long")
    if pixels > MAX_RUN_LENGTH_PIXELS and _decoder(image) == "bmp_rle":
        _refuse(opened.name, f"decoding {pixels:,} pixels in run lengths would take too long")
    if _claims_more_than_it_has(opened):
        _refuse(opened.name, "its strips overlap, and decoding them would take too long")
    size_bytes = decoding_bytes(image, scanned_pixels=pixels if scans > 1 else 0)
    if size_bytes > MAX_DECODING_BYTES:
        limit, kind = f"{MAX_DECODING_BYTES // 2**20:,}", f"{full_size[0]} x {full_size[1]} pixels of {image.format}"
        _refuse(opened.name, f"{kind} take {size_bytes // 2**20:,} MB of memory to decode, more than {limit}")
    with MEMORY.reserved(size_bytes):
        yield


def _refuse(name: str, reason: str) -> NoReturn:
    raise ImageError(f"{name} is refused because {reason}: resize it, or save it as PNG")


def _scans(opened: Opened) -> int:
    """Of a JPEG, or on average of those that are the strips or tiles of a TIFF; 1 where there is no JPEG."""
    image = opened.image
    if opened.file is None or "jpeg" not in (_decoder(image), image.info.get("compression")):
        return 1
    parts = len(_tag(image, STRIPOFFSETS) or _tag(image, TILEOFFSETS)) or 1
    return -(-_occurrences(opened.file, SCAN_MARKER) // parts)


SCAN_MARKER = b"\xff\xda\x00"  # start of scan, and the upper byte of its length, which pixel data cannot contain
CHUNK_BYTES = 2**20


def _occurrences(file: BinaryIO, marker: bytes) -> int:
    """How often `marker` is in the file, whose position stays."""
    position, count, rest = file.tell(), 0, b""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        count += (rest + chunk).count(marker)
        rest = chunk[1 - len(marker) :]
    file.seek(position)
    return count


def _decoder(image: Image.Image) -> str:
    """Pillow's name of the decoder that will be used; empty for what is decoded already."""
    return str(image.tile[0][0]) if isinstance(image, ImageFile.ImageFile) and image.tile else ""


def _claims_more_than_it_has(opened: Opened) -> bool:
    """Whether the strips or tiles of a TIFF are many times what the file holds: the same ones over and over."""
    if opened.file is None:
        return False
    claimed = sum(_tag(opened.image, STRIPBYTECOUNTS)) + sum(_tag(opened.image, TILEBYTECOUNTS))
    return claimed > MAX_OVERLAP * opened.size_bytes


MAX_OVERLAP = 4  # some programs write counts that are too large


def _tag(image: Image.Image, number: int) -> Sequence[int]:
    """The values of a tag of a TIFF; none for other kinds."""
    value = image.tag_v2.get(number, ()) if isinstance(image, TiffImageFile) else ()
    return value if isinstance(value, tuple) else (value,)
