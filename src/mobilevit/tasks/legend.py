"""What the colors of a drawn image mean, in a strip below it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from mobilevit.tasks import canvas
from mobilevit.tasks.canvas import INK, PALE, PAPER


@dataclass(frozen=True)
class Entry:
    """A word of the legend."""

    text: str
    swatch: Callable[[int], Image.Image] | None = None  # RGB, by its side in pixels


def legend(entries: Sequence[Entry], width: int) -> Image.Image:
    """The entries one after the other, in as many lines as they take; RGB."""
    em = round(0.8 * canvas.letter_px(width))
    return _strip(entries, width, em, em)


def sheet_legend(entries: Sequence[Entry], width: int) -> Image.Image:
    """The same for a sheet of small images: in small letters, and without a margin."""
    return _strip(entries, width, SHEET_EM, 0)


SHEET_EM = 14  # pixels


def _strip(entries: Sequence[Entry], width: int, em: int, margin: int) -> Image.Image:
    line, font = round(1.6 * em), canvas.letters(em)
    placed: list[tuple[int, int, Entry, str]] = []
    x, row = margin, 0
    for entry in entries:
        text = canvas.fitted(entry.text, font, width - 2 * margin - SWATCH * em)
        needed = round(_indent(entry, em) + font.getlength(text))
        if x > margin and x + needed > width - margin:
            x, row = margin, row + 1
        placed.append((x, row, entry, text))
        x += needed + round(1.4 * em)
    strip = Image.new("RGB", (width, round(1.1 * em) + (row + 1) * line), PAPER)
    pen = ImageDraw.Draw(strip)
    for x, row, entry, text in placed:
        middle = round(0.55 * em) + row * line + line // 2
        if entry.swatch is not None:
            strip.paste(entry.swatch(em), (x, middle - em // 2), _rounded(em))
        pen.text((x + _indent(entry, em), middle), text, INK if entry.swatch else PALE, font, anchor="lm")
    return strip


SWATCH = 1.5  # of a letter's size: a square and the gap behind it


def _indent(entry: Entry, em: int) -> float:
    return SWATCH * em if entry.swatch else 0


def _rounded(side: int) -> Image.Image:
    """A square with soft corners, at four times its size and back for smooth edges."""
    large = Image.new("L", (4 * side, 4 * side))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * side - 1, 4 * side - 1), side, 255)
    return large.resize((side, side), Image.Resampling.BOX)
