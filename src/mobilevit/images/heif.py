"""HEIC, the image format of iPhones: recognizes and opens it, by pillow-heif (an extra)."""

from typing import BinaryIO

from PIL import ImageFile

from mobilevit.errors import ImageError

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}  # ISO/IEC 23008-12, annex B
STILL_BRANDS = {b"mif1", b"msf1", b"mif2", b"avif", b"avis", b"crx "}  # the last: raw photos
START_BYTES = 64  # enough for the list of brands, with which the file begins


def is_heif(start: bytes) -> bool:
    """Whether a file that begins like this has images in HEVC. One of brand mif1 alone may be AVIF."""
    return not BRANDS.isdisjoint(_brands(start))


def is_still(start: bytes) -> bool:
    """Whether a file that begins like this has still images or sequences of them, in whatever coding."""
    return is_heif(start) or not STILL_BRANDS.isdisjoint(_brands(start))


def _brands(start: bytes) -> list[bytes]:
    if start[4:8] != b"ftyp":
        return []
    listed = start[8 : min(int.from_bytes(start[:4], "big"), START_BYTES)]
    return [listed[place : place + 4] for place in range(0, len(listed), 4)]


def open_heif(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """The main image, its header read; it is upright already: libheif turns it as the file says, EXIF or not.

    Pillow's own table of formats stays as it is. ImageError where pillow-heif is missing.
    """
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise ImageError(f'{name} is HEIC: pip install "mobilevit[heic]", or convert it to JPEG') from None
    image: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return image
