"""The kinds of mistake a user can make, one exception class each.

A message says what was wrong, where (file, line, value) and what to do. The command line prints it without a
traceback. `assert` is for the package's own invariants and never for these.
"""

import difflib
from collections.abc import Iterable

from mobilevit.text import printable


class MobileViTError(Exception):
    """Base of every error that is meant for the user; exit code 1. Takes its lines, whatever names are in them."""

    def __str__(self) -> str:
        return "\n".join(map(printable, self.args))


class UsageError(MobileViTError):
    """A misspelt name, an option outside its range, options that exclude each other; exit code 2."""


class PictureError(MobileViTError):
    """A picture that cannot be decoded, or that is refused because decoding it would be unsafe."""


class DataError(MobileViTError):
    """A data set that is missing, empty, ambiguous or inconsistent."""


class WeightsError(MobileViTError):
    """A weight file that is missing, unsafe, of an unknown layout, or of another model."""


class DownloadError(WeightsError):
    """Weights that could not be fetched; the message names the file and where to put it by hand."""


class OutputError(MobileViTError):
    """A folder or file that cannot be written."""


class TrainingError(MobileViTError):
    """Training that cannot go on: a loss that is not finite, a run folder that does not fit the request."""


class ParityError(MobileViTError):
    """An exported file that does not give the network's answers."""


class MissingExtraError(MobileViTError):
    """An optional package that the request needs; the message names the extra to install."""


def unknown(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The error for a name that is not in a table: offers the nearest valid ones, or lists them all."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    offer = f"did you mean {' or '.join(near)}?" if near else f"valid: {', '.join(names)}"
    return UsageError(f"unknown {kind} '{name}': {offer}")


def check_ranges(config: object, **ranges: tuple[float, float]) -> None:
    """UsageError where an option of `config` is no number in its (lowest, highest); None lies in every range."""
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        try:
            inside = value is None or low <= value <= high
        except TypeError:
            raise UsageError(f"--{name.replace('_', '-')} is {value!r}: it must be a number") from None
        if not inside:
            bounds = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
            raise UsageError(f"--{name.replace('_', '-')} is {value}: it must be {bounds}")
