"""A page of square panels in rows, each row under its heading. Knows matplotlib, and nothing of what is shown."""

import textwrap
from typing import Any

import numpy as np
from PIL import Image

from mobilevit.figures import Axes, AxesImage, Figure, FigureCanvasAgg

# in inches
PANEL = 2.7
GAP = 0.25
HEAD = 1.05  # above each row, for its heading and the titles of its panels
MARGIN = 0.45
FOOT = 0.85
BAR = 0.7  # right of the last panel, for its color scale

DPI = 110
CHARACTERS_PER_INCH = 11.5  # of the footer's font


class Sheet:
    """The page. Texts are shown as they are: a dollar sign starts no formula."""

    def __init__(self, rows: int, columns: int) -> None:
        self.width = 2 * MARGIN + columns * (PANEL + GAP) - GAP + BAR
        self.height = rows * (PANEL + HEAD) + FOOT
        self.figure = Figure(figsize=(self.width, self.height), dpi=DPI)

    def heading(self, row: int, text: str) -> None:
        self._text(self.height - row * (PANEL + HEAD) - 0.42, text, fontsize=12, weight="bold", va="top")

    def footer(self, text: str) -> None:
        wrapped = textwrap.fill(text, int((self.width - 2 * MARGIN) * CHARACTERS_PER_INCH))
        self._text(0.2, wrapped, fontsize=11, va="bottom")

    def _text(self, bottom: float, text: str, **style: Any) -> None:
        self.figure.text(MARGIN / self.width, bottom / self.height, text, parse_math=False, **style)

    def panel(self, row: int, column: float, title: str) -> Axes:
        """An empty square without ticks; `column` may lie between two columns."""
        left = MARGIN + column * (PANEL + GAP)
        bottom = self.height - (row + 1) * (PANEL + HEAD)
        size = (PANEL / self.width, PANEL / self.height)
        axes = self.figure.add_axes((left / self.width, bottom / self.height, *size))
        axes.set_title(title, fontsize=10, loc="left", parse_math=False)
        axes.set(xticks=(), yticks=())
        return axes

    def color_scale(self, axes: Axes, colors: AxesImage, label: str) -> None:
        """The scale of an image, right of its panel."""
        bar = axes.inset_axes((1.03, 0, 0.045, 1))
        self.figure.colorbar(colors, cax=bar)
        bar.set_ylabel(label, fontsize=9)
        bar.tick_params(labelsize=8)

    def image(self) -> Image.Image:
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.array(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return Image.fromarray(pixels).convert("RGB")
