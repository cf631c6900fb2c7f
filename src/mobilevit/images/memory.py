"""Memory for decoding: how much an image needs, and how much all threads together may use."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

MAX_DECODING_BYTES = 3 * 2**29  # 1.6 GB, for all threads of a process together: 134 million pixels of a JPEG take 1.1


def decoding_bytes(image: Image.Image, *, scanned_pixels: int = 0) -> int:
    """The memory that it takes to decode `image` to RGB, its copies on the way included: an upper bound.

    `scanned_pixels` are those of a JPEG of several scans, whose coefficients are kept until the last.
    """
    width, height = image.size
    per_pixel = STORED_BYTES.get(image.mode, 4) + RGB_BYTES + DECODER_BYTES.get(image.format or "", 0)
    if image.mode != "RGB":
        per_pixel += RGB_BYTES  # turned upright after it was converted
    return width * height * per_pixel + scanned_pixels * COEFFICIENT_BYTES * len(image.getbands())


COEFFICIENT_BYTES = 2
RGB_BYTES = 4  # a pixel: Pillow keeps three channels as four
STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
DECODER_BYTES = {"WEBP": 9, "AVIF": 6, "HEIF": 6, "TIFF": 4}  # a pixel, in the decoder itself: measured


class SharedMemory:
    """Bytes that threads share: whoever wants more than are free waits."""

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes, self.used_bytes = total_bytes, 0
        self._reset()

    @contextmanager
    def reserved(self, size_bytes: int) -> Iterator[None]:
        """`size_bytes` are taken inside. A thread that has some already does not wait for more, as it would for ever
        where another one did the same."""
        if self._process != os.getpid():  # a fork: the threads that would give theirs back are not here
            self._reset()
        with self._changed:
            self._changed.wait_for(lambda: self._mine() or self.used_bytes + size_bytes <= self.total_bytes)
            self._take(size_bytes)
        try:
            yield
        finally:
            with self._changed:
                self._take(-size_bytes)
                self._changed.notify_all()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self.used_bytes = 0
        self._of_thread = threading.local()

    def _mine(self) -> int:
        return int(getattr(self._of_thread, "size_bytes", 0))

    def _take(self, size_bytes: int) -> None:
        self.used_bytes += size_bytes
        self._of_thread.size_bytes = self._mine() + size_bytes


MEMORY = SharedMemory(MAX_DECODING_BYTES)
