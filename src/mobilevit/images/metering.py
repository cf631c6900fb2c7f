"""A file that counts reads, to stop decoders that read it in tiny pieces or over and over.

Every step of a parser in Python begins with a read: to bound the reads bounds the time, whatever the format.
"""

from typing import Any, BinaryIO

from mobilevit.errors import ImageError

MAX_READS = 2_000_000  # a PNG of 500 MB in the usual pieces of 8 KB takes 200,000
SLACK_BYTES = 2**24
REREADS = 4  # times the file's size
HEADER_BYTES = {b"\xff\xd8": 2**25, b"GI": 2**21}  # by the first two bytes: what may come before the pixels

# Pillow appends each part of a JPEG's EXIF and of a GIF's comment to the parts before, which takes time by the square.


class Metered:
    """An open file; whatever is neither read nor counted here is the file's own."""

    def __init__(self, file: BinaryIO, size_bytes: int, name: str) -> None:
        """`name` is what messages call it."""
        self._name = name
        file.seek(0)
        self._header_bytes = HEADER_BYTES.get(file.read(2))
        file.seek(0)
        self._file = file
        self._reads_left, self._bytes_left = MAX_READS, REREADS * size_bytes + SLACK_BYTES

    def read(self, size: int = -1, /) -> bytes:
        """As of the file; ImageError where it is too much."""
        data = self._file.read(size)
        self._reads_left -= 1
        self._bytes_left -= len(data)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise ImageError(f"{self._name} is refused because it consists of too many pieces: save it again")
        if self._header_bytes is not None and self._file.tell() > self._header_bytes:
            limit = f"{self._header_bytes // 2**20} MB"
            raise ImageError(f"{self._name} is refused because more than {limit} precede its pixels: save it again")
        return data

    def header_is_read(self) -> None:
        """From here on all of the file may be read."""
        self._header_bytes = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
