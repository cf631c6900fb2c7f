"""What the classes are called and how masks say them: from `classes.txt`, or from the masks themselves."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobilevit.data import decoding
from mobilevit.data.examination import Broken
from mobilevit.data.finding import Finding, counted, inside, listed
from mobilevit.data.numbered_names import NUMBERED, without_numbers
from mobilevit.data.splitting import evenly, split_named
from mobilevit.data.threads import in_threads
from mobilevit.errors import DataError, PictureError
from mobilevit.spec import ClassLabel, labels
from mobilevit.tasks.segmentation.target import IGNORED, JPEG, MAX_CLASSES, Coding, Colour, is_jpeg

FILE = "classes.txt"
IGNORE = "ignore"  # in place of a class: the line gives the colour of pixels that count for nothing
READ_MASKS = 1000  # that are looked at where no file says what the classes are: about two seconds


@dataclass(frozen=True)
class ClassList:
    """The classes in the order of the values in the masks."""

    classes: tuple[ClassLabel, ...]
    coding: Coding
    notes: tuple[Finding, ...] = ()


def find(root: Path) -> Path | None:
    """The file that names the classes of the data set at `root`, or of the one that `root` is a split of."""
    beside = [root.resolve().parent] if split_named(root.resolve().name) else []
    return next((folder / FILE for folder in (root, *beside) if (folder / FILE).is_file()), None)


def from_file(path: Path) -> ClassList:
    """One class a line, that of value 0 first: "name", or all of them "name red green blue" or "name #rrggbb".

    Lines that begin with # are comments; the value may stand before every name. DataError with the line where one is
    something else.
    """
    lines = list(enumerate(_text(path).rstrip().splitlines(), start=1))
    rows = [_parsed(path, number, line) for number, line in lines if not COMMENT.match(line)]
    notes = _of_hashtags(path, [line.strip() for _, line in lines if HASHTAG.fullmatch(line) and COMMENT.match(line)])
    ignored = [row.colour for row in rows if row.name == IGNORE and row.colour]
    named = [row for row in rows if row.name != IGNORE]
    names = without_numbers([row.name for row in named], [f"{path}, line {row.number}" for row in named])
    colours = [row.colour for row in named if row.colour]
    _check(path, names, [*colours, *ignored], " ".join(note.message for note in notes))
    if len(ignored) > 1:
        raise DataError(f"{path} has the line '{IGNORE}' twice: one colour can be left out")
    if colours and len(colours) < len(names):
        plain = next(name for name, row in zip(names, named, strict=True) if not row.colour)
        raise DataError(f"{path}: '{plain}' has no colour and others have: give every class one, or none")
    coding = Coding(tuple(range(len(names))), tuple(colours), ignored[0] if ignored else None)
    return ClassList(labels(names), coding, notes)


COMMENT = re.compile(r"\s*#(?![0-9a-fA-F]{6}\b)")  # and no colour
HASHTAG = re.compile(r"\s*#\w\S*\s*")  # a comment of one word: perhaps a class


def _of_hashtags(path: Path, found: Sequence[str]) -> tuple[Finding, ...]:
    if not found:
        return ()
    skipped = f"{path}: skipped {counted(len(found), 'comment')} of one word: {listed(found)}"
    return (_note(f"{skipped}. For names that begin with #, write the value before every name: '1 {found[0]}'"),)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if b"\0" in content:
            raise DataError(f"{path} looks like UTF-16: save it as UTF-8")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: this is not UTF-8 text: save the file as UTF-8") from error


@dataclass(frozen=True)
class _Row:
    number: int  # of the line
    name: str
    colour: Colour | None = None


COLOUR = re.compile(r"(?P<name>.*?)[\s,:]+(?:(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})|#([0-9a-fA-F]{6}))")
RGBA = re.compile(r".*[^\W\d].*?(?:[\s,:]+\d{1,3}){3}[\s,]+255")  # or a name that ends in a number, in blue
COLOUR_FIRST = re.compile(
    r"#[0-9a-fA-F]{6}\b|(\d+[\s,:]+)??(\d{1,3}[\s,]+\d{1,3}[\s,]+\d{1,3}|#[0-9a-fA-F]{6})[\s,:]+[^\W\d]"
)


def _parsed(path: Path, number: int, line: str) -> _Row:
    """Name and colour of a line."""
    line = line.strip()
    if COLOUR_FIRST.match(line):
        raise DataError(f"{path}, line {number}: the colour stands first: write 'road 128 64 128', the name before it")
    found = COLOUR.fullmatch(line)
    name = (found["name"] if found else line).strip()
    numbered = NUMBERED.fullmatch(name)
    if numbered and numbered[2] == IGNORE:
        name = IGNORE
    if not name:
        raise DataError(f"{path}, line {number}: no name of a class: the lines are the values 0, 1, 2, ... in order")
    if not found and name == IGNORE:
        hint = "remove the line, since the value 255 is left out without it"
        if not line.startswith(str(IGNORED)):
            hint = f"add it, such as '{IGNORE} 224 224 192'; or {hint}"
        raise DataError(f"{path}, line {number}: '{IGNORE}' has no colour: {hint}")
    if not found:
        return _Row(number, name)
    if RGBA.fullmatch(line):
        hint = "leave out the fourth; or, where the first belongs to the name, write the colour as #rrggbb"
        raise DataError(f"{path}, line {number}: '{line}': a colour is three numbers: {hint}")
    red, green, blue = tuple(bytes.fromhex(found[5])) if found[5] else (int(found[place]) for place in (2, 3, 4))
    if max(red, green, blue) > 255:
        raise DataError(f"{path}, line {number}: {red} {green} {blue} is no colour: each part lies between 0 and 255")
    return _Row(number, name, (red, green, blue))


def _check(path: Path, names: Sequence[str], colours: Sequence[Colour], note: str) -> None:
    """DataError where the classes are too few or many, or not told apart; `note` may say why they are too few."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} names {listed(twice)} twice: a class has one line")
    same = sorted({colour for colour in colours if colours.count(colour) > 1})
    if same:
        raise DataError(f"{path} gives the colour {' '.join(map(str, same[0]))} to two classes")
    if len(names) < 2:
        few = f"{path} has {counted(len(names), 'line')}: the background is a class too, usually the first"
        raise DataError(f"{few}. {note}" if note else few)
    if len(names) > MAX_CLASSES:
        raise DataError(f"{path} has {len(names)} classes: masks can tell {MAX_CLASSES} apart")


def from_masks(root: Path, masks: Sequence[Path]) -> ClassList:
    """Classes for the values found in the masks, by number; DataError where they do not say enough."""
    chosen = evenly(masks, READ_MASKS)
    values = _values_in(root, chosen)
    if values == [0, IGNORED]:
        black_and_white = Coding((0, 1), ((0, 0, 0), (255, 255, 255)))
        note = f"the masks are black and white, and no {FILE} names classes: white is taken for the foreground"
        return ClassList(labels(["background", "foreground"]), black_and_white, (_note(note),))
    if values in ([0], [IGNORED]):
        raise DataError(
            f"the masks of {root} have the value {values[0]} alone, so there is nothing to learn: draw a second class. "
            f"Where others are rare, name all in {root / FILE}, one a line"
        )
    known = [value for value in values if value != IGNORED]
    if known[-1] >= MAX_CLASSES or known[0] < 0:
        raise DataError(
            f"the masks of {root} have the values {listed(values)}, which are no classes: expected 0 to "
            f"{MAX_CLASSES - 1}, and 255 for pixels to leave out. Say what they mean in {root / FILE}"
        )
    classes = labels(f"class_{value}" for value in range(known[-1] + 1))
    looked = "" if len(chosen) == len(masks) else f" of {len(chosen):,} masks"
    note = f"no {FILE}: the values{looked} ({listed(values)}) make {len(classes)} classes; name them there, one a line"
    return ClassList(classes, Coding(tuple(range(len(classes)))), (_note(note),))


def _values_in(root: Path, masks: Sequence[Path]) -> list[int]:
    """All that occur, ascending; DataError where the masks are in colours, or none can be read."""
    found = in_threads(_values, masks)
    readable = [mask for mask in found if not isinstance(mask, Broken)]
    broken = [f"{inside(root, mask.path)} {mask.reason}" for mask in found if isinstance(mask, Broken)]
    if not readable:
        raise DataError(f"no mask of {root} can be read: {listed(broken, 3, between='; ')}")
    coloured = sorted({colour for colours, _ in readable for colour in colours})
    if coloured:
        lines = listed([" ".join(map(str, colour)) for colour in coloured], 8, between="; ")
        raise DataError(
            f"the masks of {root} are in colours ({lines}): write {root / FILE}, one class a line with its colour, "
            f"such as 'background {' '.join(map(str, coloured[0]))}'"
        )
    return sorted({value for _, indices in readable for value in indices})


def _values(path: Path) -> tuple[set[Colour], set[int]] | Broken:
    """The colours of a mask, where it has any, or its values; or why it cannot be read. DataError for a JPEG."""
    try:
        with decoding.opened(path) as source:
            if is_jpeg(source):
                raise DataError(f"{path} {JPEG}")
            stored = source.values()
    except PictureError as error:
        return Broken.by(path, error)
    if stored.ndim == 3 and (stored != stored[..., :1]).any():
        packed = np.unique(stored.astype(np.int64) @ (65536, 256, 1)).tolist()
        return {(value >> 16, value >> 8 & 255, value & 255) for value in packed}, set()
    return set(), set(np.unique(stored).tolist())


def _note(message: str) -> Finding:
    return Finding("info", "class-names", message)
