"""The mean of figures some of which are not defined."""

from collections.abc import Iterable


def mean_of_defined(values: Iterable[float | None]) -> float | None:
    """The mean of those that are not None; None where none is defined: what was not measured is no 0."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
