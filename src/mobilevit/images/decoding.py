"""From a file, bytes, an array or a Pillow image to 8-bit RGB, upright; or an ImageError with the reason.

`docs/images.md` has the table of every kind of file and what becomes of it. Safe in threads: Pillow's global settings
are neither changed nor relied upon.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile
from PIL.PngImagePlugin import PngImageFile

from mobilevit.errors import ImageError
from mobilevit.images.effort import afforded
from mobilevit.images.opening import Opened, Source, decoder_errors, opened_image
from mobilevit.images.png import metadata_follows_pixels
from mobilevit.images.quiet import quiet
from mobilevit.images.rgb import rgb
from mobilevit.images.truncation import decoded_part, few_enough, is_truncation


def decode(source: Source, *, draft_px: int | None = None) -> Image.Image:
    """The image in mode RGB, EXIF orientation applied, transparent parts on white; the first frame of several.

    An array is (H, W, 3) uint8 RGB or (H, W) uint8. `draft_px`: as for `OpenImage.decode`. ImageError if the
    source cannot be decoded, or is refused because decoding it would be unsafe.
    """
    with opened(source) as image:
        return image.decode(draft_px=draft_px)


@dataclass(frozen=True)
class ImageHeader:
    """The metadata of an image before its pixels are decoded."""

    size: tuple[int, int]  # (width, height), EXIF orientation applied
    mode: str  # Pillow's name: RGB, L, P, RGBA, CMYK, I;16, ...
    format: str  # one of FORMATS, or MPO; empty for arrays


def header(source: Source) -> ImageHeader:
    """Read the header only: fast, and no guarantee that the pixels can be decoded; ImageError as from `decode`."""
    with opened(source) as image:
        return image.header


@contextmanager
def opened(source: Source) -> Iterator["OpenImage"]:
    """The image with its header read and its pixels not decoded yet; ImageError as from `decode`.

    The memory of its pixels counts as used until the end, so reduce large images inside.
    """
    with quiet(), ExitStack() as held, opened_image(source) as found:
        yield OpenImage(found, held)


class OpenImage:
    """An image of known size whose pixels can be decoded once."""

    def __init__(self, found: Opened, held: ExitStack) -> None:
        """`held` keeps what the pixels need."""
        self.image, self.name = found.image, found.name
        self.missing_rows: int | None = None  # None: its file is not truncated, as far as was seen
        self._found, self._held = found, held

    @property
    def header(self) -> ImageHeader:
        width, height = self.image.size
        size = (height, width) if self._orientation() in SIDEWAYS else (width, height)
        return ImageHeader(size, self.image.mode, self.image.format or "")

    def decode(self, *, draft_px: int | None = None, allow_truncated: bool = False) -> Image.Image:
        """An image of its own in mode RGB, upright.

        `draft_px` is the smallest short side that is still of use: a JPEG may then come out smaller than it is, by a
        factor of 2, 4 or 8, and sooner. With `allow_truncated`, one whose file was cut short is decoded too where it
        is known that at most 1 % of its rows are missing: `missing_rows` says how many, and they are zeros. Both are
        for training only, since they change pixels.
        """
        full_size = self.image.size
        with decoder_errors(self.name):
            if draft_px is not None and self.image.format in ("JPEG", "MPO"):
                self.image.draft(None, (draft_px, draft_px))
            try:
                self._load(full_size)
            except OSError as error:
                if not (allow_truncated and is_truncation(error)):
                    raise
                self._take_part(error)
            image = self.image
            upright = _upright(rgb(image, self.name), self._orientation())
            plain = upright.copy() if upright is image else upright  # neither the caller's image nor an open file
            plain.info = {}  # the orientation it speaks of has been applied
            return plain

    def values(self) -> NDArray[Any]:
        """The stored values, upright: (H, W) integers, for a palette image its indices, or (H, W, 3) uint8 RGB.

        For masks: nothing is scaled, converted or blended with white. ImageError if it is broken, or of floating-point
        numbers.
        """
        if self.image.mode == "F":
            raise ImageError(f"{self.name} has floating-point values: store integers, as an 8-bit PNG")
        with decoder_errors(self.name):
            step = PNG_STEPS.get(_png_raw_mode(self.image), 1)
            self._load(self.image.size)
            bare = self.image.getchannel(0) if self.image.mode in ("LA", "La", "PA") else self.image
            bare = bare if bare.mode in INTEGER_MODES else bare.convert("RGB")
            upright = np.asarray(_upright(bare, self._orientation()))
            return upright.astype(np.uint8) if upright.dtype == np.bool_ else upright // step

    def _orientation(self) -> int:
        """EXIF orientation, 1 to 8. Pillow would decode every PNG for it, where few have it behind the pixels."""
        image, file = self.image, self._found.file
        is_png = isinstance(image, PngImageFile) and bool(image.tile) and file is not None
        if is_png and not metadata_follows_pixels(cast(BinaryIO, file)):
            return _orientation(image, Image.Image.getexif)
        return _orientation(image, type(image).getexif)

    def _load(self, full_size: tuple[int, int]) -> None:
        self._held.enter_context(afforded(self._found, full_size))
        self.image.load()

    def _take_part(self, error: OSError) -> None:
        """What is there of a truncated image takes its place; OSError where that is too little, or not known."""
        part = decoded_part(self._found, self._held)
        if part is None:
            raise error
        self.image, self.missing_rows = part
        if not few_enough(self.missing_rows, self.image.height):
            raise OSError(f"{error}; {self.missing_rows:,} of {self.image.height:,} rows are missing") from error


INTEGER_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
PNG_STEPS = {"L;2": 85, "L;4": 17}  # Pillow spreads grayscale of 2 and 4 bits over 0 to 255


def _png_raw_mode(image: Image.Image) -> str:
    """How a PNG stores its pixels, before it is loaded; empty for others."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) and image.format == "PNG" else ()
    return str(tiles[0].args) if tiles else ""


def _orientation(image: Image.Image, getexif: Callable[..., Image.Exif]) -> int:
    """EXIF orientation, 1 to 8. A broken EXIF block says nothing, and the image is taken as it is stored."""
    if image.format in TURNED_ALREADY:
        return 1
    try:
        value = getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:  # malformed bytes, as in decoder_errors
        if isinstance(image, PngImageFile):
            # Pillow has decoded it, since EXIF may follow the pixels, and would take "interlaced" for said twice
            image.decoderconfig = ()
        return 1
    return value if value in UPRIGHT else 1


# Pillow turns the one itself, libheif the other; both give the size as turned from the start.
TURNED_ALREADY = ("TIFF", "HEIF")


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height
