"""Information from the chunks of a PNG, without decoding its pixels."""

from typing import BinaryIO

SIGNATURE_BYTES = 8
MAX_CHUNKS = 2**17  # libpng writes one for every 8 KB of pixels
PIXELS, END = b"IDAT", b"IEND"
METADATA = (b"eXIf", b"tEXt", b"zTXt", b"iTXt")  # in any of which an orientation may stand


def metadata_follows_pixels(file: BinaryIO) -> bool:
    """Whether a chunk of metadata stands behind the first pixels, or that cannot be told. The position stays."""
    position = file.tell()
    try:
        return _follows(file)
    finally:
        file.seek(position)


def _follows(file: BinaryIO) -> bool:
    has_pixels = False
    place = SIGNATURE_BYTES
    for _ in range(MAX_CHUNKS):
        file.seek(place)
        start = file.read(8)
        kind = start[4:]
        if len(start) < 8 or kind == END:
            return False
        if has_pixels and kind in METADATA:
            return True
        has_pixels = has_pixels or kind == PIXELS
        place += 12 + int.from_bytes(start[:4], "big")  # length, kind and checksum around the content
    return True
