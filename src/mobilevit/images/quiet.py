"""Silences decoders that print to standard error: a problem is reported once, as an error of this package."""

import ctypes
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from PIL import Image


@contextmanager
def quiet() -> Iterator[None]:
    """No word of Pillow or of libtiff while any thread is inside; what others warn of is shown as ever.

    `warnings.catch_warnings` would not do: it puts back the filters that it found, which may be another thread's.
    """
    _silence_libtiff()
    _silence_log()
    _enter()
    try:
        yield
    finally:
        _leave()


# As `warnings.filterwarnings` makes it; put in by hand, since that would make every warning show that was shown before.
_FILTER = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\."), 0)
_lock = threading.Lock()
_inside: list[None] = []


def _enter() -> None:
    with _lock:
        _inside.append(None)
        if _FILTER not in warnings.filters:
            warnings.filters.insert(0, _FILTER)  # type: ignore[attr-defined]


def _leave() -> None:
    with _lock:
        _inside.pop()
        if not _inside:
            with suppress(ValueError):  # somebody has put other filters in place meanwhile
                warnings.filters.remove(_FILTER)  # type: ignore[attr-defined]


@cache
def _silence_libtiff() -> None:
    """libtiff prints each error besides returning it. Pillow silences its warnings only.

    To catch them at standard error would catch what other threads print there too.
    """
    with suppress(OSError, AttributeError):  # where libtiff is no library of its own
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)  # type: ignore[attr-defined]


@cache
def _silence_log() -> None:
    """Pillow's log goes to whoever listens to it, and not to standard error where nobody does."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())
