"""Truncated images: what was decoded, and exactly how many rows are missing."""

import hashlib
from contextlib import ExitStack

from PIL import Image, ImageFile

from mobilevit.images.effort import afforded
from mobilevit.images.opening import Opened, reopened

MAX_MISSING_PERCENT = 1  # of the rows
# Whose decoders leave a row that they cannot decode as it was. A JPEG loses whole rows of blocks, and one of several
# scans, as every progressive one, all rows.
FORMATS = ("JPEG", "MPO", "PNG", "BMP")


def is_truncation(error: Exception) -> bool:
    """Whether Pillow says by `error`, raised in loading, that the file ended too soon."""
    return isinstance(error, OSError) and str(error).lower().startswith(TRUNCATED)


TRUNCATED = ("image file is truncated", "truncated file read")


def decoded_part(opened: Opened, held: ExitStack) -> tuple[Image.Image, int] | None:
    """What can be decoded of a truncated file, missing rows in zeros, and how many rows are missing in part or whole.

    None where that cannot be known. Decodes twice, over different values: what then differs was never decoded. The
    memory for it counts as used until the end of `held`.
    """
    if opened.file is None or opened.image.format not in FORMATS:
        return None
    whole = reopened(opened)  # `opened` may have been asked to come out smaller
    held.enter_context(afforded(whole, whole.image.size))
    other_rows = _digests(_decoded_over(1, opened))
    image = _decoded_over(0, opened)
    return image, sum(mine != other for mine, other in zip(_digests(image), other_rows, strict=True))


def few_enough(missing_rows: int, height: int) -> bool:
    return 100 * missing_rows <= MAX_MISSING_PERCENT * height


def _decoded_over(value: int, opened: Opened) -> Image.Image:
    """Decoded as far as the file goes, where every pixel was `value` before."""
    image = reopened(opened).image
    assert isinstance(image, ImageFile.ImageFile), "a file was opened"
    image.im = Image.new(image.mode, image.size, value).im
    try:
        image.load()
    except OSError as error:
        if not is_truncation(error):
            raise
    image.tile = []  # Pillow would begin to decode again
    return image


def _digests(image: Image.Image) -> list[bytes]:
    """One of each row: of a large image, one copy at a time is enough."""
    rows = (image.crop((0, top, image.width, top + 1)).tobytes() for top in range(image.height))
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]
