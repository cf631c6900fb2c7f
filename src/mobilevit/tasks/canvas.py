"""What drawn results have in common: colors, letters, and the size at which an image is seen well."""

import colorsys
import math
from functools import cache
from pathlib import Path

from PIL import Image, ImageFont

Color = tuple[int, int, int]

SMALLEST_PX, LARGEST_PX = 320, 1280  # longest side of the image as it is shown
PAPER, INK, PALE, TRACK, SURROUND = "#ffffff", "#1f2933", "#6b7280", "#e6e9ee", "#eef0f3"
NEUTRAL, RIGHT, WRONG = "#4a78b0", "#2a8a57", "#c8453b"
# fmt: off
CLASS_COLORS = (
    "#ff692d", "#2f6bff", "#2fc94b", "#e83fd0", "#ffd200", "#4cc9ff", "#8a2be2", "#1e7800",
    "#ffa5d8", "#d7191c", "#00b3a1", "#965a00", "#a5e13c", "#9678ff", "#f00f87", "#87f0c3",
    "#c39600", "#0087b4", "#a0568f", "#ffa587", "#4b5ac3", "#4bc378",
)
# fmt: on


def class_color(index: int) -> Color:
    """A color for a class, the first 22 far from each other, the others as far as so many can be."""
    if index < len(CLASS_COLORS):
        red, green, blue = bytes.fromhex(CLASS_COLORS[index][1:])
        return red, green, blue
    hue, lightness = index * 0.6180339887498949 % 1.0, (0.45, 0.6, 0.75)[index % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.75))
    return red, green, blue


def shown_size(size: tuple[int, int]) -> tuple[int, int]:
    """Tiny images grow by a whole factor; large ones shrink."""
    longest = max(size)
    if longest < SMALLEST_PX:
        factor = math.ceil(SMALLEST_PX / longest)
        return size[0] * factor, size[1] * factor
    scale = min(1.0, LARGEST_PX / longest)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shown(image: Image.Image) -> Image.Image:
    """The image at `shown_size`; tiny ones with their pixels to be seen."""
    size = shown_size(image.size)
    if size[0] > image.width or size[1] > image.height:
        return image.resize(size, Image.Resampling.NEAREST)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def above(view: Image.Image, strip: Image.Image) -> Image.Image:
    """An image in the middle, and below it a strip that is as wide or wider."""
    card = Image.new("RGB", (strip.width, view.height + strip.height), SURROUND)
    card.paste(view, ((strip.width - view.width) // 2, 0))
    card.paste(strip, (0, view.height))
    return card


def letter_px(width: int) -> int:
    """The size of letters on an image of this width: they grow more slowly than it."""
    return round(17 * math.sqrt(width / SMALLEST_PX))


def percent(share: float) -> str:
    """Whole percents, and no certainty that is none."""
    if share < 0.01:
        return "< 1%"
    return "> 99%" if share > 0.99 else f"{share:.0%}"


def fitted(text: str, font: ImageFont.FreeTypeFont, room: float) -> str:
    """`text` on one line, cut to at most `room` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= room:
        return text
    length = len(text)
    while length and font.getlength(f"{text[:length].rstrip()}…") > room:
        length -= 1
    return f"{text[:length].rstrip()}…"


@cache
def letters(image_size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib; it has the letters of most European languages."""
    from mobilevit.figures import get_data_path  # takes a second to import, and most predictions draw nothing

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / name, image_size)
