"""Truncated files: how many rows are missing is exact, or the image is refused."""

import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from mobilevit.errors import ImageError
from mobilevit.images.decoding import decode, opened

HEIGHT, WIDTH = 1600, 16
NOISE = np.random.default_rng(0).integers(1, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)  # no row is all black or white


def encoded(pixels: NDArray[np.uint8], kind: str, mode: str = "RGB", **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def interlaced(pixels: NDArray[np.uint8]) -> bytes:
    """A gray PNG in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = (row for left, top, across, down in passes for row in pixels[top::down, left::across, 0])
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 1)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    framed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


Encoder = Callable[[NDArray[np.uint8]], bytes]
KNOWN: dict[str, Encoder] = {
    "JPEG": lambda pixels: encoded(pixels, "JPEG", subsampling=0),
    "JPEG in gray": lambda pixels: encoded(pixels, "JPEG", "L"),
    "JPEG with restarts": lambda pixels: encoded(pixels, "JPEG", subsampling=0, restart_marker_rows=1),
    "MPO": lambda pixels: encoded(pixels, "MPO", subsampling=0),
    "PNG": lambda pixels: encoded(pixels, "PNG"),
    "PNG with a palette": lambda pixels: encoded(pixels, "PNG", "P"),
    "PNG with alpha": lambda pixels: encoded(pixels, "PNG", "RGBA"),
    "PNG of 16 bits": lambda pixels: encoded(pixels, "PNG", "I;16"),
    "interlaced PNG": interlaced,
    "BMP": lambda pixels: encoded(pixels, "BMP"),
}
UNKNOWN: dict[str, Encoder] = {
    "progressive JPEG": lambda pixels: encoded(pixels, "JPEG", progressive=True),
    "TIFF": lambda pixels: encoded(pixels, "TIFF"),
    "LZW TIFF": lambda pixels: encoded(pixels, "TIFF", compression="tiff_lzw"),
    "GIF": lambda pixels: encoded(pixels, "GIF", "P"),
    "WebP": lambda pixels: encoded(pixels, "WEBP"),
}


@cache
def whole(kind: str) -> tuple[bytes, NDArray[np.uint8]]:
    content = KNOWN[kind](NOISE)
    return content, np.asarray(decode(content))


@pytest.mark.parametrize("kind", KNOWN)
@settings(deadline=None, max_examples=12)
@given(share=st.floats(0.0, 0.02))
def test_the_missing_rows_are_those_that_differ(kind: str, share: float) -> None:
    content, expected = whole(kind)
    with opened(content[: len(content) - int(share * len(content))]) as image:
        assert image.header.size == (WIDTH, HEIGHT)
        try:
            found = np.asarray(image.decode(allow_truncated=True))
        except ImageError as error:
            assert f"of {HEIGHT:,} rows are missing" in str(error)
            assert image.missing_rows is not None and image.missing_rows > HEIGHT // 100
            return
        differing = int((found != expected).any(axis=(1, 2)).sum())
        assert differing == (image.missing_rows or 0) <= HEIGHT // 100


@pytest.mark.parametrize("kind", KNOWN)
def test_some_are_used_and_some_refused(kind: str) -> None:
    content, _ = whole(kind)
    with opened(content[: -len(content) // 200]) as image:
        image.decode(allow_truncated=True)
        assert image.missing_rows
    with pytest.raises(ImageError, match="rows are missing"), opened(content[: -len(content) // 20]) as image:
        image.decode(allow_truncated=True)


def test_rows_are_missing_whatever_color_they_would_have_had() -> None:
    lost = 3 * WIDTH * 5
    for value in (0, 1, 255):
        with opened(encoded(np.full_like(NOISE, value), "BMP")[:-lost]) as image:
            image.decode(allow_truncated=True)
            assert image.missing_rows == 5


@pytest.mark.parametrize("kind", UNKNOWN)
def test_refused_where_it_cannot_be_known(kind: str) -> None:
    content = UNKNOWN[kind](NOISE)
    for lost in (40, len(content) // 200):
        with pytest.raises(ImageError), opened(content[:-lost]) as image:
            image.decode(allow_truncated=True)


@pytest.mark.parametrize("kind", KNOWN)
def test_the_same_whatever_size_is_asked_for_and_refused_unless_allowed(kind: str) -> None:
    content, _ = whole(kind)
    cut = content[: -len(content) // 200]
    rows = set()
    for draft_px in (None, 3, 12):
        with opened(cut) as image:
            image.decode(draft_px=draft_px, allow_truncated=True)
            rows.add(image.missing_rows)
        with pytest.raises(ImageError, match=r"is broken \(image file is truncated(?!.*missing)"):
            decode(cut, draft_px=draft_px)
        with pytest.raises(ImageError, match="truncated"), opened(cut) as image:
            assert image.header.size == (WIDTH, HEIGHT)  # for which a PNG without EXIF is decoded a first time
            image.decode(draft_px=draft_px)
    assert len(rows) == 1
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_whole_image_is_as_ever() -> None:
    for kind in KNOWN:
        content, expected = whole(kind)
        with opened(content) as image:
            assert (np.asarray(image.decode(allow_truncated=True)) == expected).all()
            assert image.missing_rows is None
