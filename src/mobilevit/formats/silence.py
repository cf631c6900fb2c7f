"""Converters and runtimes talk on the terminal; this is where that is caught."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mobilevit.errors import MobileViTError

log = logging.getLogger("mobilevit")


@contextmanager
def silent() -> Iterator[None]:
    """Nothing that this process or its libraries print inside reaches the terminal; exceptions go on their way."""
    with Path(os.devnull).open("w") as nowhere, _redirected(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refusal_of(title: str) -> Iterator[None]:
    """Keeps what a converter prints from the terminal. Where it fails that goes to the log, and its error becomes ours.

    MobileViTError, with `title` for the name of the converter; our own errors go on their way.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said, _redirected(said):
        try:
            yield
        except (MobileViTError, KeyboardInterrupt):
            raise
        except Exception as error:  # each converter has its own kinds
            said.seek(0)
            log.debug("%s said: %s", title, said.read())
            raise MobileViTError(f"{title} refused the network: {type(error).__name__}: {error}") from error


@contextmanager
def _redirected(file: IO[str]) -> Iterator[None]:
    """Standard output and error of this process and of its libraries, into `file`."""
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        yield
    finally:
        for stream in streams:
            stream.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
