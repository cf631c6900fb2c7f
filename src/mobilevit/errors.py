"""Exceptions for user errors, one class per kind.

A message states the problem, where it is (file, line, value), and what to do. It names options as fields in backquotes,
`image_size` or `flip=False`, which the command line prints as flags. The command line prints no traceback. `assert` is
for the package's own invariants and never for these.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from mobilevit.text import printable


class MobileViTError(Exception):
    """Base of every error that is meant for the user; exit code 1. Takes its lines, whatever names are in them."""

    def __str__(self) -> str:
        return "\n".join(map(printable, self.args))

    def after(self, prefix: str) -> Self:
        """The same error with `prefix` before its first line."""
        first, *others = self.args or ("",)
        return type(self)(f"{prefix}{first}", *others)


class UsageError(MobileViTError):
    """A misspelled name, an option out of range, or options that exclude each other; exit code 2."""


class ImageError(MobileViTError):
    """An image that cannot be decoded, or is refused because decoding it would be unsafe."""


class DataError(MobileViTError):
    """A dataset that is missing, empty, ambiguous or inconsistent."""


class WeightsError(MobileViTError):
    """A weight file that is missing, unsafe, of an unknown layout, or of another model."""


class DownloadError(WeightsError):
    """Weights that could not be downloaded; the message names the file and where to put it by hand."""


class OutputError(MobileViTError):
    """A folder or file that cannot be written."""


class TrainingError(MobileViTError):
    """Training that cannot continue: a loss that is not finite, or a run folder that does not fit the request."""


class OutOfMemoryError(MobileViTError):
    """Out of memory; the message says for what, and how to need less."""


class ParityError(MobileViTError):
    """An exported model whose outputs differ from the original's."""


class MissingExtraError(MobileViTError):
    """A missing optional package; the message names the extra to install."""


def unknown(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that is not in a table: offers the nearest valid ones, or lists them all."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(near)}?" if near else f"valid: {', '.join(names)}"
    return UsageError(f"unknown {kind} '{name}': {offer}")


def check_ranges(config: object, **ranges: tuple[float, float]) -> None:
    """UsageError if a field of `config` is not a number in its (lowest, highest); None is allowed."""
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        try:
            inside = value is None or low <= value <= high
        except TypeError:
            raise UsageError(f"`{name}` is {value!r}: it must be a number") from None
        if not inside:
            bounds = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
            raise UsageError(f"`{name}` is {value}: it must be {bounds}")


@contextmanager
def memory_errors(message: Callable[[], str]) -> Iterator[None]:
    """Turn running out of memory inside, on the machine or a GPU, into an OutOfMemoryError with the message."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MobileViTError) or not is_out_of_memory(error):
            raise
        amount = re.search(r"tried to allocate [\d.]+ \w+", str(error), re.IGNORECASE)
        reason = f" ({amount[0].lower()})" if amount else ""
        raise OutOfMemoryError(f"out of memory{reason}: {message()}") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: torch, its allocators and its data loader say so in several ways, not by type alone."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


OUT_OF_MEMORY = (
    "out of memory",  # the allocators of CUDA and MPS
    "can't allocate memory",  # that of the CPU
    "not enough memory",  # the same on Windows
    "cannot allocate memory",  # mapping and shared memory
    "unable to allocate shared memory",
    "out of shared memory",  # a worker of the data loader that a bus error ended
    "killed by signal: killed",  # a worker that the system ended, which it does where memory runs out
    "status_alloc_failed",  # cuBLAS and cuDNN
)
