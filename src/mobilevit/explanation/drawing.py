"""The attributions as one image: the crop, Grad-CAM, parts of the result, the attention of a pixel, block by block."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit.explanation.attention import PixelAttention
from mobilevit.explanation.attributions import Attributions, Pixel
from mobilevit.explanation.sheet import Sheet
from mobilevit.figures import Axes, AxesImage, Rectangle, withStroke

# Both rise evenly in lightness, so a step of color is a step of value, for the color-blind and in print too.
HEAT_COLORS = "inferno"
ATTENTION_COLORS = "viridis"
MARK = "#ff2d2d"  # of the chosen pixel: a hue that the attention's colors lack, and rimmed in white
RIM = withStroke(linewidth=4.5, foreground="white")


def draw(attributions: Attributions, how_to_read: str) -> Image.Image:
    """A row for what is explained, then a row for each block with a column for each of its layers."""
    layers = [len(attention.weights) for attention in attributions.attention]
    sheet = Sheet(rows=1 + len(layers), columns=max(4, *layers))
    _class_row(sheet, attributions)
    for row, attention in enumerate(attributions.attention, start=1):
        _attention_row(sheet, row, attention, attributions.crop)
    sheet.footer(how_to_read)
    return sheet.image()


def _class_row(sheet: Sheet, attributions: Attributions) -> None:
    sheet.heading(0, _short(attributions.target.heading, 96))
    _crop(
        sheet.panel(0, 0, f"model input, {attributions.crop.width} x {attributions.crop.height} px"),
        attributions,
    )
    _heat(sheet, attributions)
    _bars(sheet.panel(0, 2.45, attributions.target.bars_title), attributions)


def _crop(axes: Axes, attributions: Attributions) -> None:
    """With the scale in which a user chooses the pixel."""
    axes.imshow(attributions.crop, extent=WHOLE)
    axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.tick_params(labelsize=8)
    _outline(axes, attributions)
    _cross(axes, attributions.pixel)


WHOLE = (0, 1, 1, 0)  # left, right, bottom, top of the crop in a panel


def _outline(axes: Axes, attributions: Attributions) -> None:
    """Around what is explained, where that is not the whole image."""
    region = attributions.target.region
    if region is None or region.all():
        return
    framed = np.pad(region, 1).astype(float)  # so that a region at the border is closed there
    x, y = ((np.arange(side + 2) - 0.5) / side for side in (region.shape[1], region.shape[0]))
    axes.contour(x, y, framed, levels=(0.5,), colors=OUTLINE, linewidths=1.6)


OUTLINE = "#35e0ff"


def _cross(axes: Axes, pixel: Pixel) -> None:
    axes.plot(*pixel, marker="+", color=MARK, markersize=13, markeredgewidth=2.5, path_effects=[RIM], clip_on=False)
    axes.set(xlim=WHOLE[:2], ylim=WHOLE[2:])  # a cross at the border would widen them


def _heat(sheet: Sheet, attributions: Attributions) -> None:
    says = "Grad-CAM" if attributions.heat.any() else "Grad-CAM: nothing here speaks for"
    axes = sheet.panel(0, 1, _short(f"{says}: {attributions.target.name}", 42))
    axes.imshow(_gray(attributions.crop), cmap="gray", vmin=0, vmax=255, extent=WHOLE)
    smooth = Image.fromarray(attributions.heat.numpy()).resize(attributions.crop.size, Image.Resampling.BICUBIC)
    heat = np.asarray(smooth).clip(0, 1)
    colors = axes.imshow(heat, cmap=HEAT_COLORS, vmin=0, vmax=1, alpha=0.6, extent=WHOLE)
    _outline(axes, attributions)
    _cross(axes, attributions.pixel)
    sheet.color_scale(axes, colors, "fraction of the maximum")


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L"))


def _bars(axes: Axes, attributions: Attributions) -> None:
    target = attributions.target
    for place, (name, share) in enumerate(target.bars):
        color = BAR_EXPLAINED if place == target.bar else BAR
        axes.barh(place, share, height=0.32, color=color)
        axes.text(0, place - 0.24, _short(name, 36), fontsize=10, va="bottom", parse_math=False)
        axes.text(share + 0.02, place, f"{share:.1%}", fontsize=9, va="center")
    axes.set(xlim=(0, 1.2), ylim=(MOST_BARS - 0.5, -0.75))
    axes.axis("off")


MOST_BARS = 5
BAR, BAR_EXPLAINED = "#b9c0ca", "#8c2a6b"


def _attention_row(sheet: Sheet, row: int, attention: PixelAttention, crop: Image.Image) -> None:
    sheet.heading(row, _block_text(row, attention, crop))
    times_even = attention.weights * attention.seen.sum()  # 1 where attention does not choose
    top = max(2.0, float(times_even.max()))
    for layer, values in enumerate(times_even.numpy()):
        axes = sheet.panel(row, layer, f"layer {layer + 1} of {len(times_even)}")
        cells = np.ma.masked_array(values, ~attention.seen.numpy())
        colors = paint(axes, cells, top, attention, crop)
    sheet.color_scale(axes, colors, "times uniform attention")


def _block_text(row: int, attention: PixelAttention, crop: Image.Image) -> str:
    height, width = attention.seen.shape
    own, p = attention.map_size, attention.patch_size
    resized = "" if own == (height, width) else f" (resized from {own[0]} x {own[1]})"
    return (
        f"MobileViT block {row}: {height} x {width} pixels{resized}, {crop.width / width:.3g} px each, "
        f"in patches of {p} x {p}: the marked one attends to {int(attention.seen.sum())} of {height * width}"
    )


def paint(
    axes: Axes, cells: NDArray[np.float32], top: float, attention: PixelAttention, crop: Image.Image
) -> AxesImage:
    """One layer over the crop: the seen pixels colored, the others dark, patches framed, the chosen one marked."""
    height, width = cells.shape
    extent, p = (0, width, height, 0), attention.patch_size
    axes.imshow(_gray(crop) * 0.45, cmap="gray", vmin=0, vmax=255, extent=extent)
    colors = axes.imshow(cells, cmap=ATTENTION_COLORS, vmin=0, vmax=top, extent=extent, interpolation="nearest")
    axes.vlines(np.arange(p, width, p), 0, height, color="white", alpha=0.25, linewidth=0.6)
    axes.hlines(np.arange(p, height, p), 0, width, color="white", alpha=0.25, linewidth=0.6)
    axes.add_patch(_frame(attention.column, attention.row, margin=0.012 * width))
    axes.set(xlim=(0, width), ylim=(height, 0))  # a frame at the border would widen them
    return colors


def _frame(column: int, row: int, margin: float) -> Rectangle:
    """Around the pixel, so that its own color stays to be seen."""
    side = 1 + 2 * margin
    corner = (column - margin, row - margin)
    frame = Rectangle(corner, side, side, fill=False, edgecolor=MARK, linewidth=2, path_effects=[RIM], zorder=3)
    frame.set_clip_on(False)
    return frame
