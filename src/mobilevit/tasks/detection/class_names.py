"""The names of classes from a plain file, one a line: `classes.txt` of YOLO and VOC, `obj.names` of Darknet."""

import re
from collections.abc import Collection
from pathlib import Path

from mobilevit.errors import DataError
from mobilevit.tasks.detection.annotation import class_name, quoted, read_text

COMMENT = re.compile(r"\s*#(\s|$)")  # and no name such as "#hashtag"
NUMBERED = re.compile(r"\s*(\d+)(?:\s*[:.,)]\s*|\s+)(\S.*)")


def from_file(path: Path, occurring: Collection[str] = ()) -> list[str]:
    """The name of class 0 first. Lines that begin with "# " are comments; the number may stand before every name.

    A line that is the name of an `occurring` class is that, whatever it looks like. DataError where a line is empty, or
    a number is not that of its line.
    """
    rows = [
        (f"{path}, line {number}", line)
        for number, line in enumerate(read_text(path).rstrip().splitlines(), start=1)
        if class_name(line) in occurring or not COMMENT.match(line)
    ]
    for where, line in rows:
        if not class_name(line):
            raise DataError(f"{where}: no name of a class: the lines are the classes 0, 1, 2, ... in order")
    if not any(class_name(line) in occurring for _, line in rows):
        rows = _without_numbers(rows)
    return [class_name(line) for _, line in rows]


def _without_numbers(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(where, name) without the number of the class, where all have one: "0 cat", "1: dog"."""
    matches = [found for _, line in rows if (found := NUMBERED.fullmatch(line))]
    if len(matches) < len(rows):
        return rows
    for index, ((where, line), found) in enumerate(zip(rows, matches, strict=True)):
        if found[1].lstrip("0") != str(index).lstrip("0"):
            raise DataError(
                f"{where}: '{quoted(line.strip())}' is class {index}, since the lines are 0, 1, 2, ... in order: add "
                "those that are missing, or leave the numbers out; YOLO's names that begin so go into data.yaml"
            )
    return [(where, found[2]) for (where, _), found in zip(rows, matches, strict=True)]
