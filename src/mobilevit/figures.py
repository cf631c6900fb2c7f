"""The one door to Matplotlib. Figures are drawn in memory and need no backend, whatever the environment names.

A notebook sets MPLBACKEND for every command that it starts, and Matplotlib refuses to be imported where it does not
know that backend. So it is imported without the variable; a backend that it does know stays the choice of whoever uses
pyplot in the same process.
"""

import os
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any

_first = "matplotlib" not in sys.modules
_named = os.environ.pop("MPLBACKEND", None)
try:
    from matplotlib import figure, rcParams
    from matplotlib import get_data_path as get_data_path
    from matplotlib.artist import Artist as Artist
    from matplotlib.axes import Axes as Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg as FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap as LinearSegmentedColormap
    from matplotlib.image import AxesImage as AxesImage
    from matplotlib.patches import Patch as Patch
    from matplotlib.patches import Rectangle as Rectangle
    from matplotlib.patheffects import withStroke as withStroke
    from matplotlib.text import Text as Text
    from matplotlib.ticker import MaxNLocator as MaxNLocator
    from matplotlib.ticker import PercentFormatter as PercentFormatter
finally:
    if _named is not None:
        os.environ["MPLBACKEND"] = _named
if _named and _first:
    with suppress(ValueError):
        rcParams["backend"] = _named


class Figure(figure.Figure):
    """A figure in which every text is what it says: dollar signs in the names of classes begin no mathematics."""

    def draw(self, renderer: Any) -> None:
        self._take_words_as_they_are()
        super().draw(renderer)

    def png(self, dpi: float, *, transparent: bool = False) -> bytes:
        """The figure as a PNG. It is laid out the first time, and colors alone may change from then on.

        `savefig` would draw everything once more for the layout, and lay out again each time: half of a run's report.
        """
        self.set_dpi(dpi)
        if (engine := self.get_layout_engine()) is not None:
            self._take_words_as_they_are()
            engine.execute(self)
            self.set_layout_engine(None)
        encoded = BytesIO()
        self.savefig(encoded, format="png", dpi=dpi, transparent=transparent)
        return encoded.getvalue()

    def _take_words_as_they_are(self) -> None:
        for text in self.findobj(Text):
            if text.get_text() and not text.get_text().startswith(POWER):
                text.set_parse_math(False)


POWER = "$\\mathdefault{"  # of the ticks of a logarithmic axis, which have no text before they are drawn
