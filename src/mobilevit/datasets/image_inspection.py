"""What `check` measures on one decoded image."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.datasets.finding import printable
from mobilevit.errors import ImageError
from mobilevit.images import decoding

DRAFT_PX = 64  # short side that a JPEG must keep: enough for the fingerprint; every byte is still decoded
SMALL_PX = 32  # side of the reduced image that all judgments are made on
STEP = 4  # of 255: smaller steps between neighbors count as none, so that flat areas hash alike
GRAY_SPREAD = 6  # of 255: red, green and blue of a grayscale image differ by no more, JPEG's rounding included


@dataclass(frozen=True, slots=True)
class Examined:
    """An image that could be decoded."""

    path: Path
    header: decoding.ImageHeader
    digest: bytes  # of the file's bytes
    fingerprint: int  # 64 bits: where brightness rises from left to right; alike for copies of another size or quality
    thumbnail: bytes  # 8 x 8 RGB, to tell images apart whose fingerprints agree
    is_gray: bool
    is_blank: bool  # one color all over


@dataclass(frozen=True, slots=True)
class Broken:
    """An image that could not, and why."""

    path: Path
    reason: str  # without the path: "is empty (0 bytes): copy or download it again"

    @classmethod
    def by(cls, path: Path, error: Exception) -> "Broken":
        return cls(path, reason(path, error))


def reason(path: Path, error: Exception) -> str:
    """The message of an error without the path that it begins with."""
    return printable(error).removeprefix(printable(path)).lstrip(": ")


@dataclass(frozen=True, slots=True)
class Truncated:
    """An image whose file was cut short by so little that it may be trained on."""

    path: Path
    missing_rows: int
    height: int  # its rows in all, as stored


def examine(path: Path) -> Examined | Broken:
    """Decode all of `path` and describe it."""
    try:
        with decoding.opened(path) as opened:
            header, image = opened.header, opened.decode(draft_px=DRAFT_PX)
            small, print_of = _pixels(image, SMALL_PX, SMALL_PX), fingerprint(image)
            del image  # while its memory still counts
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except (ImageError, OSError) as error:
        return Broken.by(path, error)
    spread = small.max(axis=2).astype(int) - small.min(axis=2)
    return Examined(
        path,
        header,
        digest,
        print_of,
        small.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).astype(np.uint8).tobytes(),
        is_gray=int(spread.max()) <= GRAY_SPREAD,
        is_blank=int(np.ptp(small, axis=(0, 1)).max()) <= STEP,
    )


def decodes(path: Path, *, allow_truncated: bool = False) -> Broken | Truncated | None:
    """None where all of `path` can be decoded; Truncated only where that is allowed."""
    try:
        with decoding.opened(path) as opened:
            opened.decode(draft_px=DRAFT_PX, allow_truncated=allow_truncated)
            rows, height = opened.missing_rows, opened.image.height
    except ImageError as error:
        return Broken.by(path, error)
    return None if rows is None else Truncated(path, rows, height)


def read_header(path: Path) -> decoding.ImageHeader | Broken:
    """What `path` says of itself; broken pixels go unseen."""
    try:
        return decoding.header(path)
    except ImageError as error:
        return Broken.by(path, error)


def fingerprint(image: Image.Image) -> int:
    """64 bits, one for each pair of neighbors in a row of the image at 9 x 8: set where the right one is lighter."""
    gray = _pixels(image, 9, 8).astype(np.float32).mean(axis=2)
    rises = gray[:, 1:] > gray[:, :-1] + STEP
    return int.from_bytes(np.packbits(rises).tobytes(), "big")


def _pixels(image: Image.Image, width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3) uint8, each pixel the weighted mean of what it covers."""
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
