"""Runtimes greet on the terminal when they start; this is where that is caught."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent() -> Iterator[None]:
    """Nothing that this process or its libraries print inside reaches the terminal; exceptions go on their way."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    nowhere, kept = os.open(os.devnull, os.O_WRONLY), [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nowhere)
