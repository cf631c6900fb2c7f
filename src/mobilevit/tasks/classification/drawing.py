"""A picture above a strip that says what is in it: a bar for each of the likeliest classes, and the truth if known."""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mobilevit.spec import ClassLabel
from mobilevit.tasks.classification.result import Classification, Score

SMALLEST_PX, LARGEST_PX = 320, 1280  # longest side of the picture as it is shown
ROWS = 3  # most classes in the strip
PAPER, INK, TRACK, SURROUND = "#ffffff", "#1f2933", "#e6e9ee", "#eef0f3"
NEUTRAL, RIGHT, WRONG = "#4a78b0", "#2a8a57", "#c8453b"


def draw(picture: Image.Image, result: Classification, truth: ClassLabel | None) -> Image.Image:
    """A new RGB picture: `picture`, enlarged or reduced to be seen well, and its strip below.

    With a truth the best class is marked as right or wrong, in green or red, and the true class is marked too; it is
    added where it is not among those shown.
    """
    shown = _resized(picture)
    width = max(SMALLEST_PX, shown.width)
    rows = _rows(result, truth)
    strip = _strip(rows, width)
    card = Image.new("RGB", (width, shown.height + strip.height), SURROUND)
    card.paste(shown, ((width - shown.width) // 2, 0))
    card.paste(strip, (0, shown.height))
    return card


def _resized(picture: Image.Image) -> Image.Image:
    """Tiny pictures grow by a whole factor with their pixels to be seen; large ones shrink."""
    longest = max(picture.size)
    if longest < SMALLEST_PX:
        factor = math.ceil(SMALLEST_PX / longest)
        return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    scale = min(1.0, LARGEST_PX / longest)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0) if scale < 1 else picture


@dataclass(frozen=True)
class Row:
    """One class in the strip."""

    text: str
    percent: str
    score: float
    bar: str  # colours
    ink: str = INK
    bold: bool = False


def _rows(result: Classification, truth: ClassLabel | None) -> list[Row]:
    shown = result.top[:ROWS]
    rows = [_row(score, truth, best=place == 0) for place, score in enumerate(shown)]
    if truth is not None and truth.id not in [score.id for score in shown]:
        known = next((score.score for score in result.top if score.id == truth.id), None)
        percent = f"< {max(1, math.ceil(100 * result.top[-1].score))}%" if known is None else _percent(known)
        rows.append(Row(f"{TRUE} truth: {truth.name}", percent, known or 0.0, RIGHT, RIGHT))
    return rows


def _row(score: Score, truth: ClassLabel | None, *, best: bool) -> Row:
    percent = _percent(score.score)
    if truth is None or (score.id != truth.id and not best):
        return Row(score.name, percent, score.score, NEUTRAL, bold=best)
    if score.id != truth.id:
        return Row(f"{FALSE} {score.name}", percent, score.score, WRONG, WRONG, bold=True)
    text = f"{TRUE} {score.name}" if best else f"{TRUE} truth: {score.name}"
    return Row(text, percent, score.score, RIGHT, RIGHT, bold=best)


TRUE, FALSE = "\N{CHECK MARK}", "\N{BALLOT X}"


def _percent(score: float) -> str:
    """Whole percents, and no certainty that is none."""
    if score < 0.01:
        return "< 1%"
    return "> 99%" if score > 0.99 else f"{score:.0%}"


def _strip(rows: list[Row], width: int) -> Image.Image:
    """The rows under each other; letters grow with the width, more slowly than it."""
    em = round(17 * math.sqrt(width / SMALLEST_PX))
    margin, line, bar = round(0.8 * em), round(1.35 * em), max(3, em // 4)
    pitch = line + bar + round(0.55 * em)
    strip = Image.new("RGB", (width, 2 * margin + len(rows) * pitch - round(0.55 * em)), PAPER)
    pen = ImageDraw.Draw(strip)
    for place, row in enumerate(rows):
        top, right = margin + place * pitch, width - margin
        font = _font(em, row.bold)
        pen.text((right, top), row.percent, row.ink, font, anchor="ra")
        room = right - margin - font.getlength(row.percent) - em
        pen.text((margin, top), _fitted(row.text, font, room), row.ink, font)
        pen.rectangle((margin, top + line, right - 1, top + line + bar - 1), TRACK)
        filled = round((right - margin) * row.score)
        if filled:
            pen.rectangle((margin, top + line, margin + filled - 1, top + line + bar - 1), row.bar)
    return strip


def _fitted(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """`text` on one line, cut to at most `room` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= room:
        return text
    length = len(text)
    while length and font.getlength(f"{text[:length].rstrip()}…") > room:
        length -= 1
    return f"{text[:length].rstrip()}…"


@cache
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib; it has the letters of most European languages, and the two marks."""
    import matplotlib  # here, because it takes a second to import and most predictions draw nothing

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size_px)
