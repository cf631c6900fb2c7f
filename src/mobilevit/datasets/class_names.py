"""Class names from a text file, one per line: `classes.txt` of YOLO and VOC, `obj.names` of Darknet."""

import re
from collections.abc import Collection
from pathlib import Path

from mobilevit.datasets.annotation_records import class_name
from mobilevit.datasets.numbered_names import without_numbers
from mobilevit.datasets.text_files import read_text
from mobilevit.errors import DataError

COMMENT = re.compile(r"\s*#(\s|$)")  # and no name such as "#hashtag"


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
            raise DataError(f"{where}: no class name: the lines name the classes 0, 1, 2, ... in order")
    names = [class_name(line) for _, line in rows]
    return names if any(name in occurring for name in names) else without_numbers(names, [where for where, _ in rows])
