"""From a file, bytes, an array or a Pillow picture to 8-bit RGB, upright; or a PictureError that says why not.

`docs/pictures.md` has the table of every kind of file and what becomes of it. Safe in threads: Pillow's global settings
are neither changed nor relied upon.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from mobilevit.errors import PictureError

Source = Path | str | bytes | Image.Image | NDArray[Any]

# Decoders that read pixels and do nothing else: Pillow's EPS and PDF start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # Pillow opens MPO as the JPEG that it begins with
MAX_PIXELS = 2**27  # 134 million: a phone's 108 megapixels pass; decoded they take 400 MB
TOO_MANY_PIXELS = f"more than {MAX_PIXELS // 10**6} million pixels"
MAX_FILE_BYTES = 2**29  # no picture of so many pixels needs more


def decode(source: Source, *, draft_px: int | None = None) -> Image.Image:
    """The picture in mode RGB, EXIF orientation applied, transparent parts on white; the first frame of several.

    An array is (H, W, 3) uint8 RGB or (H, W) uint8. `draft_px`: as for `OpenPicture.decode`. PictureError where the
    source cannot be decoded, or is refused because decoding it would be unsafe.
    """
    with opened(source) as picture:
        return picture.decode(draft_px=draft_px)


@dataclass(frozen=True)
class PictureHeader:
    """What a picture says of itself before its pixels are decoded."""

    size: tuple[int, int]  # (width, height), EXIF orientation applied
    mode: str  # Pillow's name: RGB, L, P, RGBA, CMYK, I;16, ...
    format: str  # one of FORMATS, or MPO; empty for arrays


def header(source: Source) -> PictureHeader:
    """Fast, and no promise that the pixels can be decoded; PictureError as from `decode`."""
    with opened(source) as picture:
        return picture.header


@contextmanager
def opened(source: Source) -> Iterator["OpenPicture"]:
    """The picture with its header read and its pixels not decoded yet; PictureError as from `decode`."""
    if isinstance(source, np.ndarray):
        yield OpenPicture(_from_array(source), "the array")
    elif isinstance(source, Image.Image):
        yield OpenPicture(source, str(getattr(source, "filename", "")) or "the picture")
    elif isinstance(source, bytes):
        name = f"the picture of {len(source)} bytes"
        yield OpenPicture(_parsed(BytesIO(source), len(source), name), name)
    elif isinstance(source, (str, Path)):
        with _open_file(Path(source)) as file:
            yield OpenPicture(_parsed(file, os.fstat(file.fileno()).st_size, str(source)), str(source))
    else:
        raise PictureError(f"{type(source).__name__} is no picture: give a path, bytes, a Pillow picture or an array")


class OpenPicture:
    """A picture whose size is known and whose pixels can be had."""

    def __init__(self, image: Image.Image, name: str) -> None:
        """`name` is what messages call it."""
        _refuse_size(image.size, name)
        self.image, self.name = image, name

    @property
    def header(self) -> PictureHeader:
        width, height = self.image.size
        size = (height, width) if _orientation(self.image) in SIDEWAYS else (width, height)
        return PictureHeader(size, self.image.mode, self.image.format or "")

    def decode(self, *, draft_px: int | None = None) -> Image.Image:
        """A picture of its own in mode RGB, upright.

        `draft_px` is the smallest short side that is still of use: a JPEG may then come out smaller than it is, by a
        factor of 2, 4 or 8, and sooner. For training only, since it changes pixels.
        """
        image = self.image
        with _decoder_errors(self.name):
            if draft_px is not None and image.format in ("JPEG", "MPO"):
                image.draft(None, (draft_px, draft_px))
            image.load()
            upright = _upright(_rgb(image, self.name), _orientation(image))
            plain = upright.copy() if upright is image else upright  # neither the caller's picture nor an open file
            plain.info = {}  # the orientation it speaks of has been applied
            return plain

    def values(self) -> NDArray[Any]:
        """What is stored, upright: (H, W) integers, those of a palette picture its indices, or (H, W, 3) uint8 RGB.

        For masks, whose values are no colours: nothing is scaled, converted or laid on white. PictureError where it is
        broken, or of floating-point numbers.
        """
        if self.image.mode == "F":
            raise PictureError(f"{self.name}: is of floating-point numbers: store whole ones, as an 8-bit PNG")
        with _decoder_errors(self.name):
            step = PNG_STEPS.get(_png_raw_mode(self.image), 1)
            self.image.load()
            bare = self.image.getchannel(0) if self.image.mode in ("LA", "La", "PA") else self.image
            bare = bare if bare.mode in INTEGER_MODES else bare.convert("RGB")
            upright = np.asarray(_upright(bare, _orientation(self.image)))
            return upright.astype(np.uint8) if upright.dtype == np.bool_ else upright // step


INTEGER_MODES = ("1", "L", "P", "I", "I;16", "I;16L", "I;16B", "I;16N")
PNG_STEPS = {"L;2": 85, "L;4": 17}  # Pillow spreads greyscale of 2 and 4 bits over 0 to 255


def _png_raw_mode(image: Image.Image) -> str:
    """How a PNG stores its pixels, before it is loaded; empty for others."""
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) and image.format == "PNG" else ()
    return str(tiles[0].args) if tiles else ""


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    shape = pixels.shape
    if pixels.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or 0 in shape:
        raise PictureError(
            f"an array of shape {shape} and type {pixels.dtype} is no picture: "
            "give uint8 of shape (height, width, 3), RGB, or (height, width)"
        )
    return Image.fromarray(pixels)


def _open_file(path: Path) -> BinaryIO:
    """The open file, after a look at what it is: a pipe would block, and a device never end."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PictureError(f"{path}: is a folder: give the path of a picture")
        if not stat.S_ISREG(mode):
            raise PictureError(f"{path}: is no ordinary file: give the path of a picture")
        return path.open("rb")
    except FileNotFoundError:
        raise PictureError(f"{path}: not found: check the path") from None
    except (OSError, ValueError) as error:
        raise PictureError(f"{path}: cannot be opened ({error}): check the path and its permissions") from error


def _parsed(file: BinaryIO, size_bytes: int, name: str) -> Image.Image:
    """The picture in an open file, its header read."""
    if size_bytes == 0:
        raise PictureError(f"{name}: is empty (0 bytes): copy or download it again")
    if size_bytes > MAX_FILE_BYTES:
        raise PictureError(f"{name}: refused, because it is larger than {MAX_FILE_BYTES // 2**20} MB: resize it")
    with _decoder_errors(name):
        image = Image.open(file, formats=FORMATS)
        if image.info.get("progressive"):
            _refuse_many_scans(file, name)
        return image


def _refuse_many_scans(file: BinaryIO, name: str) -> None:
    """A progressive JPEG goes over all its pixels again with every few bytes that a scan takes."""
    position = file.tell()
    file.seek(0)
    scans = file.read().count(SCAN_MARKER)
    file.seek(position)
    if scans > MAX_SCANS:
        raise PictureError(f"{name}: refused, because decoding its {scans} scans would take too long: save it anew")


MAX_SCANS = 100  # encoders write about ten
SCAN_MARKER = b"\xff\xda\x00"  # start of scan, and the upper byte of its length, which pixel data cannot contain


def _refuse_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PictureError(f"{name}: refused, because it has {TOO_MANY_PIXELS} ({width} x {height}): resize it")
    if 0 in size:
        raise PictureError(f"{name}: has no pixels ({width} x {height}): leave it out")


@contextmanager
def _decoder_errors(name: str) -> Iterator[None]:
    """Whatever goes wrong inside is the picture's fault, and becomes a PictureError.

    Pillow's decoders raise what malformed bytes lead them to: OSError, SyntaxError, ValueError, struct.error,
    MemoryError and more, hence the wide net.
    """
    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise PictureError(
            f"{name}: is no picture of a kind that is read here ({kinds}): convert it to JPEG or PNG"
        ) from None
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name}: refused, because it has {TOO_MANY_PIXELS}: resize it") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise PictureError(f"{name}: is broken ({reason}): copy it again or leave it out") from error


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """`image` itself where it is RGB, else a new picture."""
    if image.mode in WHITE:
        return _eight_bit(image, name).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


# The value of white in pictures of more than 8 bits. It is never taken from the picture, so that two pictures from one
# camera keep their difference in brightness.
WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1}


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Greyscale of 16 or 32 bits, or of floats, scaled to 8 bits."""
    values, white = np.asarray(image, dtype=np.float32), WHITE[image.mode]
    if not (values.min() >= 0 and values.max() <= white):  # so written that NaN fails
        raise PictureError(
            f"{name}: has values from {values.min():g} to {values.max():g}, where greyscale of its kind "
            f"({image.mode}) goes from 0 to {white}: convert it to 8 or 16 bits"
        )
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8. A broken EXIF block says nothing, and the picture is taken as it is stored."""
    if image.format == "TIFF":  # Pillow turns these itself, and gives their size as turned from the start
        return 1
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # malformed bytes, as in _decoder_errors
        return 1
    return value if value in UPRIGHT else 1


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
