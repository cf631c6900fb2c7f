"""An image with boxes around its objects above a strip that counts them; with the truth, what was right and wrong.

Without it a color is a class. With it a color is a verdict: green for right, amber for false, red and dashed for
missed. Labels say the class either way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.sample import Dataset
from mobilevit.spec import ClassLabel
from mobilevit.tasks import canvas
from mobilevit.tasks.canvas import INK, PALE, PAPER, RIGHT, SMALLEST_PX, WRONG
from mobilevit.tasks.detection.error_types import FALSE, Verdict, compare
from mobilevit.tasks.detection.label_placement import Place, Spots
from mobilevit.tasks.detection.result import Detections
from mobilevit.tasks.legend import Entry, legend, sheet_legend

MISTAKEN = "#e08a00"
RIM = "#00000070"  # round a line, to be seen on bright and on busy images
LISTED = 40  # most classes in the legend of a sheet
WORDS = {
    Verdict.LOCALIZATION: "localization",
    Verdict.CLASSIFICATION: "classification",
    Verdict.DUPLICATE: "duplicate",
    Verdict.BACKGROUND: "background",
}


@dataclass(frozen=True)
class Mark:
    """A box as it is drawn."""

    box: Place  # in pixels of what is drawn on
    color: str
    name: str
    percent: str = ""
    dashed: bool = False


def draw(image: Image.Image, result: Detections, truth: Boxes | None, classes: Sequence[ClassLabel]) -> Image.Image:
    """A new RGB image: `image`, enlarged or reduced to be seen well, with boxes, and a strip below.

    `image` may have been reduced since the result was made: boxes follow the size that the result states.
    """
    view = canvas.shown(image).copy()
    if truth is None:
        marks, entries = _by_class(result, view)
    else:
        marks, entries = _by_verdict(result, truth, classes, view)
    _draw_marks(view, marks)
    return canvas.above(view, legend(entries, max(SMALLEST_PX, view.width)))


def draw_target(image: Image.Image, target: Boxes) -> Image.Image:
    """A new RGB image: `image` with a thin box around every object, in its class's color; those that do not count
    are dashed."""
    view = image.copy()
    pen, width = ImageDraw.Draw(view), max(1, round(min(view.size) / 160))
    for place, label, ignored in zip(
        _scaled(target.boxes, target.size, view), target.labels.tolist(), target.ignore.tolist(), strict=True
    ):
        _outline(pen, place, _color(label), width, dashed=ignored, rim=False)
    return view


def target_legend(dataset: Dataset, width: int) -> Image.Image:
    """The colors of all classes, and dashes for objects that do not count, where there are any."""
    labels = dataset.classes
    entries = [Entry(label.name, _solid(_color(index))) for index, label in enumerate(labels[:LISTED])]
    more = [Entry(f"and {len(labels) - LISTED} more")] if len(labels) > LISTED else []
    any_ignored = any(sample.target.ignore.any() for samples in dataset.splits.values() for sample in samples)
    ignored = [Entry("not counted", _dashed(PALE))] if any_ignored else []
    return sheet_legend([*entries, *more, *ignored], width)


def _by_class(result: Detections, view: Image.Image) -> tuple[list[Mark], list[Entry]]:
    marks = [
        Mark(place, _color(found.label), found.class_name, canvas.percent(found.score))
        for place, found in zip(_scaled(result.boxes, result.size, view), result.objects, strict=True)
    ]
    counts = Counter((mark.color, mark.name) for mark in marks)
    entries = [Entry(f"{count} x {name}", _solid(color)) for (color, name), count in counts.most_common(NAMED)]
    if len(counts) > NAMED:
        entries.append(Entry(f"and {len(counts) - NAMED} more classes"))
    return marks, entries or [Entry("no objects found")]


NAMED = 12  # most classes in the strip


def _by_verdict(
    result: Detections, truth: Boxes, classes: Sequence[ClassLabel], view: Image.Image
) -> tuple[list[Mark], list[Entry]]:
    boxes = result.of(result.source, truth.size).boxes
    labels = np.array([found.label for found in result.objects], np.int64)
    verdicts, _, missed = compare(boxes, labels, truth)
    colors = {verdict: MISTAKEN if verdict in FALSE else RIGHT for verdict in Verdict} | {Verdict.IGNORED: PALE}
    found = [
        Mark(place, colors[Verdict(verdict)], each.class_name, canvas.percent(each.score))
        for place, verdict, each in zip(_scaled(boxes, truth.size, view), verdicts, result.objects, strict=True)
    ]
    lost = truth.chosen(missed)
    absent = [
        Mark(place, WRONG, classes[label].name, dashed=True)
        for place, label in zip(_scaled(lost.boxes, truth.size, view), lost.labels.tolist(), strict=True)
    ]
    counts = Counter(Verdict(verdict) for verdict in verdicts.tolist())
    return [*absent, *found], list(_verdict_entries(counts, len(absent)))


def _verdict_entries(counts: Counter[Verdict], missed: int) -> Iterator[Entry]:
    yield Entry(f"{counts[Verdict.RIGHT]} right", _solid(RIGHT))
    if missed:
        yield Entry(f"{missed} missed", _dashed(WRONG))
    if false := sum(counts[verdict] for verdict in FALSE):
        reasons = ", ".join(f"{counts[verdict]} {word}" for verdict, word in WORDS.items() if counts[verdict])
        yield Entry(f"{false} false: {reasons}", _solid(MISTAKEN))
    if counts[Verdict.IGNORED]:
        yield Entry(f"{counts[Verdict.IGNORED]} not counted", _solid(PALE))


def _solid(color: str) -> Callable[[int], Image.Image]:
    return lambda side: Image.new("RGB", (side, side), color)


def _dashed(color: str) -> Callable[[int], Image.Image]:
    def swatch(side: int) -> Image.Image:
        square = Image.new("RGB", (side, side), PAPER)
        _outline(ImageDraw.Draw(square), (0, 0, side - 1, side - 1), color, max(2, side // 6), dashed=True, rim=False)
        return square

    return swatch


def _color(label: int) -> str:
    red, green, blue = canvas.class_color(label)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _scaled(boxes: NDArray[np.float32], size: tuple[int, int], view: Image.Image) -> list[Place]:
    """Boxes in pixels of an image of `size` to those of the view, at least two pixels wide and high."""
    shares = boxes / np.array(size * 2, np.float32) * np.array(view.size * 2, np.float32)
    edges = np.array([view.width - 1, view.height - 1] * 2)
    places = np.rint(shares).clip(0, edges).astype(int)
    return [(left, top, max(right, left + 1), max(bottom, top + 1)) for left, top, right, bottom in places.tolist()]


def _draw_marks(view: Image.Image, marks: Sequence[Mark]) -> None:
    """All boxes, the large ones first; then the labels, of the small ones first, as these hide soonest."""
    pen = ImageDraw.Draw(view, "RGBA")
    width = max(2, round(max(view.size) / 320))
    by_area = sorted(marks, key=lambda mark: (mark.box[2] - mark.box[0]) * (mark.box[3] - mark.box[1]))
    for mark in reversed(by_area):
        _outline(pen, mark.box, mark.color, width, dashed=mark.dashed)
    em = max(11, round(0.52 * canvas.letter_px(max(view.size))))
    font, spots = canvas.letters(em, bold=True), Spots(view.size, [mark.box for mark in marks])
    for mark in by_area:
        name = canvas.fitted(mark.name, font, view.width / 3)
        texts = dict.fromkeys((f"{name} {mark.percent}".rstrip(), mark.percent or name))
        extents = [(text, (round(font.getlength(text) + 0.7 * em), round(1.35 * em))) for text in texts]
        text, (left, top, right, bottom) = spots.take(mark.box, extents)
        pen.rounded_rectangle((left, top, right - 1, bottom - 1), em // 4, mark.color)
        pen.text(((left + right) / 2, (top + bottom) / 2), text, _ink_on(mark.color), font, anchor="mm")


def _ink_on(color: str) -> str:
    """Dark or white letters, whichever are told from the color more easily."""
    red, green, blue = ((int(color[at : at + 2], 16) / 255) ** 2.2 for at in (1, 3, 5))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return INK if (luminance + 0.05) ** 2 > DARKEST * 1.05 else PAPER  # contrast as WCAG has it


DARKEST = 0.063  # luminance of INK, and 0.05


def _outline(pen: ImageDraw.ImageDraw, place: Place, color: str, width: int, *, dashed: bool, rim: bool = True) -> None:
    """A frame whose line lies inside the box."""
    left, top, right, bottom = place
    width = max(1, min(width, (right - left) // 3, (bottom - top) // 3))
    if rim:
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=RIM)
        if min(right - left, bottom - top) > 2 * width:
            pen.rectangle((left + width, top + width, right - width, bottom - width), outline=RIM)
    if not dashed:
        pen.rectangle(place, outline=color, width=width)
        return
    for line in _dashes(place, width):
        pen.rectangle(line, color)


def _dashes(place: Place, width: int) -> Iterator[Place]:
    """Filled pieces of a frame, with a piece at every corner."""
    left, top, right, bottom = place
    for start, end in _pieces(left, right, width):
        yield start, top, end, top + width - 1
        yield start, bottom - width + 1, end, bottom
    for start, end in _pieces(top, bottom, width):
        yield left, start, left + width - 1, end
        yield right - width + 1, start, right, end


def _pieces(start: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """First and last pixel of an odd number of pieces of one length, gaps of the same between them."""
    count = max(1, round((end - start) / (4 * width) / 2)) * 2 + 1
    for piece in range(0, count, 2):
        yield start + (end - start) * piece // count, start + (end - start) * (piece + 1) // count
