"""An image above a strip that says what is in it: a bar for each of the likeliest classes, and the truth if known."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mobilevit.spec import ClassLabel
from mobilevit.tasks import canvas
from mobilevit.tasks.canvas import INK, NEUTRAL, PAPER, RIGHT, TRACK, WRONG
from mobilevit.tasks.classification.result import Classification, Score

ROWS = 3  # most classes in the strip


def draw(image: Image.Image, result: Classification, truth: ClassLabel | None) -> Image.Image:
    """A new RGB image: `image`, enlarged or reduced to be seen well, and its strip below.

    With a truth the best class is marked as right or wrong, in green or red, and the true class is marked too; it is
    added where it is not among those shown.
    """
    shown = canvas.shown(image)
    return canvas.above(shown, _strip(_rows(result, truth), max(canvas.SMALLEST_PX, shown.width)))


@dataclass(frozen=True)
class BarRow:
    """One class in the strip."""

    text: str
    percent: str
    score: float
    bar: str  # colors
    ink: str = INK
    bold: bool = False


def _rows(result: Classification, truth: ClassLabel | None) -> list[BarRow]:
    shown = result.top[:ROWS]
    rows = [_row(score, truth, best=place == 0) for place, score in enumerate(shown)]
    if truth is not None and truth.id not in [score.class_id for score in shown]:
        known = next((score.score for score in result.top if score.class_id == truth.id), None)
        percent = f"< {max(1, math.ceil(100 * result.top[-1].score))}%" if known is None else canvas.percent(known)
        rows.append(BarRow(f"{TRUE} truth: {truth.name}", percent, known or 0.0, RIGHT, RIGHT))
    return rows


def _row(score: Score, truth: ClassLabel | None, *, best: bool) -> BarRow:
    percent = canvas.percent(score.score)
    if truth is None or (score.class_id != truth.id and not best):
        return BarRow(score.class_name, percent, score.score, NEUTRAL, bold=best)
    if score.class_id != truth.id:
        return BarRow(f"{FALSE} {score.class_name}", percent, score.score, WRONG, WRONG, bold=True)
    text = f"{TRUE} {score.class_name}" if best else f"{TRUE} truth: {score.class_name}"
    return BarRow(text, percent, score.score, RIGHT, RIGHT, bold=best)


TRUE, FALSE = "\N{CHECK MARK}", "\N{BALLOT X}"


def _strip(rows: list[BarRow], width: int) -> Image.Image:
    """The rows under each other; letters grow with the width, more slowly than it."""
    em = canvas.letter_px(width)
    margin, line, bar = round(0.8 * em), round(1.35 * em), max(3, em // 4)
    pitch = line + bar + round(0.55 * em)
    strip = Image.new("RGB", (width, 2 * margin + len(rows) * pitch - round(0.55 * em)), PAPER)
    pen = ImageDraw.Draw(strip)
    for place, row in enumerate(rows):
        top, right = margin + place * pitch, width - margin
        font = canvas.letters(em, bold=row.bold)
        pen.text((right, top), row.percent, row.ink, font, anchor="ra")
        room = right - margin - font.getlength(row.percent) - em
        pen.text((margin, top), canvas.fitted(row.text, font, room), row.ink, font)
        pen.rectangle((margin, top + line, right - 1, top + line + bar - 1), TRACK)
        filled = round((right - margin) * row.score)
        if filled:
            pen.rectangle((margin, top + line, margin + filled - 1, top + line + bar - 1), row.bar)
    return strip
