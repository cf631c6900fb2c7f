"""An image with the classes of its pixels laid over it, above a strip that names them."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from mobilevit.datasets.mask_target import IGNORED, Classes, Mask
from mobilevit.datasets.sample import Dataset
from mobilevit.spec import ClassLabel
from mobilevit.tasks import canvas
from mobilevit.tasks.canvas import SMALLEST_PX, Color
from mobilevit.tasks.legend import Entry, legend, sheet_legend
from mobilevit.tasks.segmentation import maps
from mobilevit.tasks.segmentation.result import Segmentation

Pixels = npt.NDArray[np.float32]  # (H, W, 3), 0-255
Where = npt.NDArray[np.bool_]  # (H, W)

TINT = 0.5  # how much of a pixel is the color of its class
NAMED = 11  # most classes in the strip
LISTED = 40  # most classes in the legend of a sheet
BACKGROUND = frozenset({"background", "bg", "_background_", "class_0", "void", "unlabelled", "unlabeled"})
STRIPES = {"wrong": ("#000000", "#ffffff"), "left out": ("#6b7280", "#d5d9df")}


def draw(image: Image.Image, result: Segmentation, truth: Mask | None, classes: Sequence[ClassLabel]) -> Image.Image:
    """A new RGB image: `image`, enlarged or reduced to be seen well, tinted by class, and a strip below.

    With a truth that is drawn too, beside or below, and what the prediction has wrong is striped.
    """
    view = canvas.shown(image)
    predicted = smooth(result.coarse, view.size)
    if truth is None:
        drawn, shares = tinted(view, predicted, classes or result.labels), _shares(predicted)
        entries = _entries(shares, result.labels)
    else:
        drawn, entries = _compared(view, predicted, maps.resized(truth.read(), view.size), classes)
    return canvas.above(drawn, legend(entries, max(SMALLEST_PX, drawn.width)))


def draw_target(image: Image.Image, target: Mask, classes: Sequence[ClassLabel]) -> Image.Image:
    """The image tinted by the classes of its mask, pixels that count for nothing striped."""
    mask = maps.resized(target.read(), image.size)
    return _striped(tinted(image, mask, classes), mask == IGNORED, "left out")


def target_legend(dataset: Dataset, width: int) -> Image.Image:
    """The colors of all classes, and the stripes of what counts for nothing."""
    labels = dataset.classes
    order = [*range(first_tinted(labels), len(labels)), *range(first_tinted(labels))]
    names = {
        index: labels[index].name + (" (without color)" if index < first_tinted(labels) else "") for index in order
    }
    entries = [Entry(names[index], partial(_class_swatch, index, labels)) for index in order[:LISTED]]
    more = [Entry(f"and {len(order) - LISTED} more")] if len(order) > LISTED else []
    return sheet_legend([*entries, *more, Entry("left out", partial(_stripes_swatch, "left out"))], width)


def smooth(classes: Classes, size: tuple[int, int]) -> Classes:
    """A class map at another size, for the eye: where it grows, with edges that are not stairs."""
    height, width = classes.shape
    if size[0] <= width and size[1] <= height:
        return maps.resized(classes, size)
    present = np.unique(classes)
    parts = [Image.fromarray((classes == index).astype(np.uint8) * 255) for index in present]
    grown = np.stack([np.asarray(part.resize(size, Image.Resampling.BILINEAR)) for part in parts])
    return np.asarray(present[grown.argmax(axis=0)])


def tinted(image: Image.Image, classes: Classes, labels: Sequence[ClassLabel]) -> Image.Image:
    """The image in the colors of `classes` (H, W), with a line along the edge of each region.

    The background, if the first class is called so, keeps its own colors.
    """
    table = np.zeros((256, 4), np.float32)  # red, green, blue, and how much of it
    for index in range(first_tinted(labels), len(labels)):
        table[index] = *color_of(index, labels), TINT
    colors = table[classes]
    strength = np.where(_edges(classes) & (colors[..., 3] > 0), 1.0, colors[..., 3])[..., None]
    return _mixed(image, colors[..., :3], strength)


def first_tinted(labels: Sequence[ClassLabel]) -> int:
    return int(bool(labels) and labels[0].name.casefold() in BACKGROUND)


def color_of(index: int, labels: Sequence[ClassLabel]) -> Color:
    place = index - first_tinted(labels)
    return canvas.class_color({0: MAGENTA, MAGENTA: 0}.get(place, place))


MAGENTA = 3  # among the colors; it goes first, because hardly anything in a photograph has it


def _mixed(image: Image.Image, colors: Pixels, strength: Pixels) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    return Image.fromarray(np.rint(pixels + (colors - pixels) * strength).astype(np.uint8))


def _edges(classes: Classes) -> Where:
    """Pixels near one of another class."""
    changes = np.zeros(classes.shape, np.uint8)
    changes[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    changes[1:] |= classes[1:] != classes[:-1]
    width = 2 * round(max(classes.shape) / 500) + 1
    return np.asarray(Image.fromarray(changes).filter(ImageFilter.MaxFilter(width))) > 0


def _compared(
    view: Image.Image, predicted: Classes, truth: Classes, classes: Sequence[ClassLabel]
) -> tuple[Image.Image, list[Entry]]:
    """Prediction and truth in one image, and the words of its strip."""
    valid = truth != IGNORED
    wrong, left_out = valid & (predicted != truth), ~valid
    panels = [
        _titled(_striped(tinted(view, predicted, classes), wrong, "wrong"), "prediction"),
        _titled(_striped(tinted(view, truth, classes), left_out, "left out"), "truth"),
    ]
    shares = _shares(truth) | {index: 0.0 for index in np.unique(predicted).tolist() if not (truth == index).any()}
    entries = [Entry(f"wrong {_percent(wrong.sum() / max(1, valid.sum()))}", partial(_stripes_swatch, "wrong"))]
    if left_out.any():
        entries.append(Entry(f"left out {_percent(left_out.mean())}", partial(_stripes_swatch, "left out")))
    return _side_by_side(panels), [*_entries(shares, classes, with_share=False), *entries]


def _shares(classes: Classes) -> dict[int, float]:
    """The part of the pixels of each class that is there, largest first."""
    counts = np.bincount(classes[classes != IGNORED], minlength=1)
    order = [index for index in np.argsort(-counts, kind="stable").tolist() if counts[index]]
    return {index: float(counts[index] / counts.sum()) for index in order}


def _entries(shares: dict[int, float], labels: Sequence[ClassLabel], *, with_share: bool = True) -> list[Entry]:
    """The tinted classes, largest first, then the background."""
    order = sorted(shares, key=lambda index: index < first_tinted(labels))
    texts = {index: f"{labels[index].name} {_percent(shares[index])}" for index in order}
    entries = [
        Entry(texts[index] if with_share else labels[index].name, partial(_class_swatch, index, labels))
        for index in order[:NAMED]
    ]
    return entries if len(order) <= NAMED else [*entries, Entry(f"and {len(order) - NAMED} more")]


def _percent(share: float) -> str:
    return canvas.percent(share) if 0 < share < 1 else f"{share:.0%}"


def _class_swatch(index: int, labels: Sequence[ClassLabel], side: int) -> Image.Image:
    if index < first_tinted(labels):
        return Image.new("RGB", (side, side), canvas.TRACK)
    return Image.new("RGB", (side, side), color_of(index, labels))


def _striped(image: Image.Image, where: Where, kind: str) -> Image.Image:
    """Diagonal stripes over some of the pixels."""
    stripe = max(2, round(max(image.size) / 160))
    return _mixed(image, _stripes(image.size, stripe, kind), np.where(where, 0.8, 0.0)[..., None])


def _stripes(size: tuple[int, int], stripe: int, kind: str) -> Pixels:
    diagonal = np.add.outer(np.arange(size[1]), np.arange(size[0])) // stripe % 3 == 0
    one, other = (np.array(list(bytes.fromhex(color[1:])), np.float32) for color in STRIPES[kind])
    return np.where(diagonal[..., None], one, other)


def _stripes_swatch(kind: str, side: int) -> Image.Image:
    return Image.fromarray(_stripes((side, side), max(2, side // 6), kind).astype(np.uint8))


def _titled(image: Image.Image, title: str) -> Image.Image:
    """The word in the upper left corner."""
    font = canvas.letters(round(0.7 * canvas.letter_px(image.width)), bold=True)
    pad = font.size // 2
    pen = ImageDraw.Draw(image, "RGBA")
    left, top, right, bottom = pen.textbbox((2 * pad, 2 * pad), title, font)
    pen.rounded_rectangle((left - pad, top - pad, right + pad, bottom + pad), pad, "#1f2933c8")
    pen.text((2 * pad, 2 * pad), title, "#ffffff", font)
    return image


def _side_by_side(panels: Sequence[Image.Image]) -> Image.Image:
    """Panels of one size, beside each other or, where they are wider than high, below each other."""
    width, height = panels[0].size
    gap = max(2, max(width, height) // 160)
    step_x, step_y = (0, height + gap) if width > height else (width + gap, 0)
    count = len(panels) - 1
    sheet = Image.new("RGB", (width + count * step_x, height + count * step_y), "white")
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place * step_x, place * step_y))
    return sheet
