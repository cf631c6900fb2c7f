"""Class names, one per line, with or without their numbers: common to lists for boxes and for masks."""

import re
from collections.abc import Sequence

from mobilevit.errors import DataError

NUMBERED = re.compile(r"\s*(\d{1,9})(?:\s*[:.,)]\s*|\s+)(\S.*)")  # number and name
SHOWN = 80  # characters of a name in a message


def without_numbers(names: Sequence[str], places: Sequence[str], numbers: Sequence[int] = ()) -> list[str]:
    """The names without their numbers, where all have one: "0 cat", "1: dog"; else as they are.

    `places` say where each stands, for people; `numbers` are those of the names, 0, 1, 2, ... unless given. DataError
    where others are written.
    """
    matches = [found for name in names if (found := NUMBERED.fullmatch(name))]
    if len(matches) < len(names):
        return list(names)
    for index, name, place, found in zip(numbers or range(len(names)), names, places, matches, strict=True):
        if int(found[1]) != index:
            shown = name.strip()[:SHOWN]
            raise DataError(
                f"{place}: '{shown}' is class {index}, because the lines are classes 0, 1, 2, ... in order: add the "
                f"missing lines, or remove the numbers; or, if the number is part of the name, write '{index} {shown}'"
            )
    return [found[2] for found in matches]
