"""The CSV of VGG's Image Annotator, a row a region, as the records of its JSON."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mobilevit.datasets.text_files import head, quoted, read_text
from mobilevit.errors import DataError

SUFFIX = ".csv"
HEAD_BYTES = 2**12
NAME, SHAPE, ATTRIBUTES = "filename", "region_shape_attributes", "region_attributes"
MOST_CHARACTERS = 2**24  # of a cell: a long outline


def fits(path: Path) -> bool:
    """Whether the header is that of such a table."""
    line = head(path, HEAD_BYTES).decode("utf-8-sig", "replace").lstrip("\ufffd").splitlines()[:1]
    return bool(line) and {NAME, SHAPE, ATTRIBUTES} <= set(_words(line[0]))


def records(path: Path) -> dict[str, dict[str, Any]]:
    """What is stated of each image by its name: its `filename` and `regions`. DataError naming the line."""
    found: dict[str, dict[str, Any]] = {}
    for where, row in _rows(path):
        name = row[NAME].strip()
        if not name:
            raise DataError(f"{where}: the image name is missing")
        image = found.setdefault(name, {"filename": name, "regions": []})
        shape = _parsed(row[SHAPE], where)
        if shape:  # images without a region have a row too
            image["regions"].append({"shape_attributes": shape, "region_attributes": _parsed(row[ATTRIBUTES], where)})
    return found


def _words(header: str) -> list[str]:
    return [word.strip().removeprefix("#") for word in next(csv.reader([header]), [])]


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each row by the words of the header, and what a message calls it."""
    header, _, rest = read_text(path).partition("\n")
    before = csv.field_size_limit(MOST_CHARACTERS)
    try:
        reader = csv.DictReader(io.StringIO(rest, newline=""), _words(header), restval="", strict=True)
        for row in reader:
            yield f"{path}, line {reader.line_num + 1}", row
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num + 1}: {error}: export the table again") from error
    finally:
        csv.field_size_limit(before)


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    """A cell of JSON, as text when a spreadsheet has not taken it apart."""
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise DataError(
            f"{where}: '{quoted(text)}' is not a JSON object: export the table again, without editing it elsewhere"
        )
    return content
