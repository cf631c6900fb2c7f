"""`classes.txt`, this package's list of mask classes, with their values or colors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets.finding import Finding, counted, listed
from mobilevit.datasets.numbered_names import without_numbers
from mobilevit.errors import DataError

Color = tuple[int, int, int]

IGNORE = "ignore"  # in place of a class: the line gives the value or the color of pixels that count for nothing
IGNORED = 255  # the value of such pixels where no line gives another
MAX_BYTES = 2**20  # of a file: 255 names of four thousand letters


@dataclass(frozen=True)
class NamedClasses:
    """What a file says: classes in its order, and how masks store them."""

    names: tuple[str, ...]
    values: tuple[int, ...]  # of each class
    colors: tuple[Color, ...] = ()  # of each class, or of none
    ignored_values: tuple[int, ...] = ()  # beside IGNORED
    ignored_color: Color | None = None
    notes: tuple[Finding, ...] = ()


def read(path: Path) -> NamedClasses:
    """One class a line, that of value 0 first: "name", or all of them "name red green blue" or "name #rrggbb".

    Lines that begin with # are comments; the value may stand before every name. "ignore" and a value or a color leaves
    pixels out; the classes have the other values, in order.
    """
    lines = lines_of(path)
    rows = [_parsed(path, number, line) for number, line in lines if not COMMENT.match(line)]
    hashtags = [line.strip() for _, line in lines if COMMENT.match(line) and HASHTAG.match(line.strip())]
    ignored = [row for row in rows if row.name == IGNORE]
    named = [row for row in rows if row.name != IGNORE]
    left_out = {row.value for row in ignored if row.value is not None}
    values = [value for value in range(len(named) + len(left_out)) if value not in left_out][: len(named)]
    places = [f"{path}, line {row.number}" for row in named]
    names = without_numbers([row.name for row in named], places, values)
    return NamedClasses(
        tuple(names),
        tuple(values),
        colors_of_all(path, names, [row.color for row in named]),
        tuple(sorted(left_out - {IGNORED})),
        _ignored_color(path, ignored),
        _of_hashtags(path, hashtags),
    )


COMMENT = re.compile(r"\s*#(?![0-9a-fA-F]{6}\b)")  # and no color
HASHTAG = re.compile(r"#\w\S*\Z")  # a comment of one word: perhaps a class


@dataclass(frozen=True)
class _ClassRow:
    number: int  # of the line
    name: str
    color: Color | None = None
    value: int | None = None  # of pixels to leave out


def _parsed(path: Path, number: int, line: str) -> _ClassRow:
    """Name and color of a line. It is taken apart into words first, in time that grows with its length alone."""
    where, line = f"{path}, line {number}", line.strip()
    spaced = line.translate(SEPARATORS)
    texts = spaced.split()
    if not texts:
        raise DataError(f"{where}: no class name: the lines name the values 0, 1, 2, ... in order")
    if _color_stands_first(texts):
        raise DataError(f"{where}: the color comes first: write 'road 128 64 128', with the name before the color")
    taken = _length_ofcolor_of(texts)
    if taken == 3 and len(texts) > 4 and _has_alpha(texts):
        hint = "remove the fourth; or, if the first is part of the name, write the color as #rrggbb"
        raise DataError(f"{where}: '{line}': a color is three numbers: {hint}")
    color = color_of(texts[-taken:], where) if taken else None
    head = texts[: len(texts) - taken]
    if IGNORE in head and all(word == IGNORE or NUMBER.fullmatch(word) for word in head):
        return _left_out(where, number, [int(word) for word in head if word != IGNORE], color)
    return _ClassRow(number, line[: _end_of_name(spaced, texts[len(texts) - taken :])], color)


SEPARATORS = str.maketrans(dict.fromkeys(",:", " "))  # beside blanks


def _end_of_name(spaced: str, color: Sequence[str]) -> int:
    """Where the name before the words of a color ends."""
    end = len(spaced)
    for word in reversed(color):
        end = spaced.rindex(word, 0, end)
    return len(spaced[:end].rstrip()) if color else end


NUMBER = re.compile(r"\d{1,9}")
PART = re.compile(r"\d{1,3}")  # of a color
HEX = re.compile(r"#[0-9a-fA-F]{6}")


def _length_ofcolor_of(words: Sequence[str]) -> int:
    """How many of the last words are a color: three numbers, one of six digits, or none. A name is before it."""
    if len(words) > 3 and all(map(PART.fullmatch, words[-3:])):
        return 3
    return int(len(words) > 1 and HEX.fullmatch(words[-1]) is not None)


def _color_stands_first(words: Sequence[str]) -> bool:
    """A color, with or without a number before it, and then a name; or a color alone."""
    if HEX.fullmatch(words[0]):
        return True
    for start in (0, 1):
        if start and not words[0].isdecimal():
            return False
        for color, name in (
            (words[start : start + 3], words[start + 3 :]),
            (words[start : start + 1], words[start + 1 :]),
        ):
            is_color = all(map(PART.fullmatch, color)) if len(color) == 3 else any(map(HEX.fullmatch, color))
            if is_color and name and LETTER.match(name[0]):
                return True
    return False


LETTER = re.compile(r"[^\W\d]")


def _has_alpha(words: Sequence[str]) -> bool:
    """Four numbers at the end, the last of them 255, and before them a name with a letter."""
    has_name = any(LETTER.search(word) for word in words[:-4])
    return has_name and PART.fullmatch(words[-4]) is not None and words[-1] == str(IGNORED)


def color_of(words: Sequence[str], where: str) -> Color:
    parts = list(bytes.fromhex(words[0][1:])) if len(words) == 1 else [int(word) for word in words]
    if max(parts) > 255:
        raise DataError(f"{where}: {' '.join(words)} is not a color: each number must be between 0 and 255")
    return parts[0], parts[1], parts[2]


def _left_out(where: str, number: int, values: Sequence[int], color: Color | None) -> _ClassRow:
    """The line of what is left out: "ignore 11", "11 ignore", "ignore 224 224 192"."""
    if color is not None:
        return _ClassRow(number, IGNORE, color)
    if len(values) != 1:
        hint = f"add one, such as '{IGNORE} 11' or '{IGNORE} 224 224 192'; {IGNORED} is ignored without such a line"
        raise DataError(f"{where}: '{IGNORE}' has {'several values' if values else 'no value and no color'}: {hint}")
    if values[0] > IGNORED:
        raise DataError(f"{where}: {values[0]} cannot be ignored: mask values lie between 0 and {IGNORED}")
    return _ClassRow(number, IGNORE, value=values[0])


def _ignored_color(path: Path, ignored: Sequence[_ClassRow]) -> Color | None:
    colors = [row.color for row in ignored if row.color is not None]
    if len(colors) > 1:
        raise DataError(f"{path} has the line '{IGNORE}' twice: only one color can be ignored")
    return colors[0] if colors else None


def colors_of_all(path: Path, names: Sequence[str], stated: Sequence[Color | None]) -> tuple[Color, ...]:
    colors = tuple(color for color in stated if color is not None)
    if colors and len(colors) < len(names):
        plain = next(name for name, color in zip(names, stated, strict=True) if color is None)
        raise DataError(f"{path}: '{plain}' has no color, but others do: give every class a color, or none")
    return colors


def _of_hashtags(path: Path, found: Sequence[str]) -> tuple[Finding, ...]:
    if not found:
        return ()
    skipped = f"{path}: skipped {counted(len(found), 'comment')} of a single word: {listed(found)}"
    hint = f"For names that begin with #, write the value before every name: '1 {found[0]}'"
    return (Finding("info", "class-names", f"{skipped}. {hint}"),)


def lines_of(path: Path) -> list[tuple[int, str]]:
    """The lines and their numbers, without empty ones at the end."""
    return list(enumerate(_text(path).rstrip().splitlines(), start=1))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    if len(content) > MAX_BYTES:
        raise DataError(
            f"{path} is refused because it is larger than {MAX_BYTES // 2**20} MB: write one class per line"
        )
    if b"\0" in content:
        raise DataError(f"{path} looks like UTF-16: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: this is not UTF-8 text: save the file as UTF-8") from error
