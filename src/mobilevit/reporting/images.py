"""Figures and images as text inside a page: nothing is loaded from elsewhere."""

import base64
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from mobilevit.figures import Artist, Figure, Text
from mobilevit.reporting.markup import safe

INK = {"light": "#1d2733", "dark": "#d7dee6"}  # of axes and their texts, on the page's own background
IMAGE_PX = 320  # longer side of an example


def figure_image(figure: Figure, alt: str) -> str:
    """An <img> that changes with the reader's choice of a light or dark page."""
    light, dark = (_data_url("png", _png(figure, ink)) for ink in (INK["light"], INK["dark"]))
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{safe(alt)}"></picture>'
    )


def image_image(image: Image.Image, alt: str) -> str:
    """An <img> of an image, shrunk to the size that it is shown in."""
    image.thumbnail((IMAGE_PX, IMAGE_PX * 2))
    encoded = BytesIO()
    image.save(encoded, "JPEG", quality=88)
    return f'<img src="{_data_url("jpeg", encoded.getvalue())}" alt="{safe(alt)}" loading="lazy">'


def _data_url(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _png(figure: Figure, ink: str) -> bytes:
    """The figure on a transparent ground, its frame in the given color; colors of the data stay."""
    for artist in _frame(figure):
        artist.set(color=ink)
    for axes in figure.axes:
        axes.tick_params(colors=ink)
        axes.spines[:].set_edgecolor(ink)
    return figure.png(144, transparent=True)


def _frame(figure: Figure) -> Iterator[Artist]:
    """Titles, labels and legends: texts on the page's ground, not those within the data."""
    for axes in figure.axes:
        yield from (child for child in axes.get_children() if isinstance(child, Text) and child not in axes.texts)
        yield from (axes.xaxis.label, axes.yaxis.label)
        yield from (axes.xaxis.get_offset_text(), axes.yaxis.get_offset_text())
    for legend in [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]:
        yield from legend.findobj(Text)
    yield from figure.texts
