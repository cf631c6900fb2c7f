"""A contact sheet: sample images of every class."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from mobilevit.datasets.class_counts import readable_occurrences
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.splitting import evenly
from mobilevit.datasets.target_protocol import Targets
from mobilevit.errors import ImageError
from mobilevit.images import decoding
from mobilevit.spec import ClassLabel

MAX_CLASSES = 20  # on one sheet; of more, an even choice
TILE_PX = 112
GAP_PX = 8
MIN_COLUMNS, MAX_COLUMNS = 4, 8  # the least leaves room for the headings
MARGIN_PX = 24
TITLE_PX = 64  # height of the heading of the sheet
HEADING_PX = 34  # height of the heading of a class
PAPER, INK, PALE = "#ffffff", "#1c1f24", "#6b7280"
GROUND = "#eef0f3"  # around an image that is no square
RIM = "#e2e5ea"  # so that images with a white edge end somewhere


def contact_sheet(
    dataset: Dataset, task: Targets, counts: Mapping[str, Sequence[int]], left_out: Collection[Path] = ()
) -> Image.Image:
    """A row of images for each class, as evaluation sees them, cut to the center square or whole; RGB.

    Below the title stands what their colors mean, where the task draws on them. The images are of training, and of the
    other splits where training has too few. Images in `left_out` and those that cannot be decoded are passed over. The
    longest row sets the width.
    """
    shown = evenly(range(len(dataset.classes)), MAX_CLASSES)
    chosen = _chosen(dataset, task, shown, left_out)
    rows = {index: _tiles(samples, task, dataset.classes) for index, samples in chosen.items()}
    columns = max(MIN_COLUMNS, *map(len, rows.values()))
    width = 2 * MARGIN_PX + columns * (TILE_PX + GAP_PX) - GAP_PX
    legend = task.legend(dataset, width - 2 * MARGIN_PX)
    first = TITLE_PX + (legend.height if legend else 0)
    sheet = Image.new("RGB", (width, first + len(shown) * (HEADING_PX + TILE_PX + GAP_PX) + MARGIN_PX), PAPER)
    _write_title(sheet, dataset, len(shown))
    if legend:
        sheet.paste(legend, (MARGIN_PX, TITLE_PX))
    for row, index in enumerate(shown):
        top = first + row * (HEADING_PX + TILE_PX + GAP_PX)
        of_splits = ", ".join(f"{counts[split][index]:,} {split}" for split in dataset.splits)
        _write_heading(sheet, top, dataset.classes[index], of_splits)
        _paste_tiles(sheet, top + HEADING_PX, rows[index])
    return sheet


def _chosen(
    dataset: Dataset, task: Targets, shown: Sequence[int], left_out: Collection[Path]
) -> dict[int, list[Sample]]:
    """An even choice of each class's training images; where they fill no row, of the next split's too."""
    occurrences = readable_occurrences(task)
    chosen: dict[int, list[Sample]] = {index: [] for index in shown}
    for samples in dataset.splits.values():
        found: dict[int, list[Sample]] = {index: [] for index in shown}
        for sample in samples:
            if sample.path not in left_out:
                for index in found.keys() & occurrences(sample.target).keys():
                    found[index].append(sample)
        for index in shown:
            chosen[index] += evenly(found[index], MAX_COLUMNS - len(chosen[index]))
    return chosen


def _write_title(sheet: Image.Image, dataset: Dataset, classes_shown: int) -> None:
    total = len(dataset.classes)
    classes = f"{total:,} classes" if classes_shown == total else f"{classes_shown} of {total:,} classes"
    splits = ", ".join(f"{len(samples):,} {split}" for split, samples in dataset.splits.items())
    name = dataset.root.resolve().name
    _write(sheet, (MARGIN_PX, 22), [(name, 24, INK), (f"{classes} · images: {splits}", 15, PALE)])


def _write_heading(sheet: Image.Image, top: int, label: ClassLabel, counts: str) -> None:
    identity = f"{label.id} · " if label.id != label.name else ""
    _write(sheet, (MARGIN_PX, top + 8), [(label.name, 16, INK), (f"{identity}{counts}", 13, PALE)])


def _write(sheet: Image.Image, start: tuple[int, int], texts: Sequence[tuple[str, int, str]]) -> None:
    """Texts of (words, size in px, color) on one line, the first in bold; cut short at the right margin."""
    draw, (x, y) = ImageDraw.Draw(sheet), start
    baseline = y + texts[0][1]
    for place, (words, image_size, color) in enumerate(texts):
        face = _face("DejaVuSans-Bold.ttf" if place == 0 else "DejaVuSans.ttf", image_size)
        words = _cut(words, face, sheet.width - MARGIN_PX - x)
        draw.text((x, baseline), words, fill=color, font=face, anchor="ls")
        x += int(face.getlength(words)) + 12


def _cut(words: str, face: ImageFont.FreeTypeFont, room_px: int) -> str:
    """The words, or as many letters as fit and an ellipsis."""
    words = words.encode("utf-8", "replace").decode()  # names that are no UTF-8 cannot be drawn
    if face.getlength(words) <= room_px:
        return words
    kept = next((n for n in range(len(words) - 1, 0, -1) if face.getlength(words[:n] + "…") <= room_px), 0)
    return words[:kept] + "…" if kept else ""


@cache
def _face(name: str, image_size: int) -> ImageFont.FreeTypeFont:
    """A font that comes with matplotlib, so that every machine draws the same."""
    from mobilevit.figures import get_data_path  # takes a second to import, and most checks draw nothing

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / name), image_size)


def _paste_tiles(sheet: Image.Image, top: int, tiles: Sequence[Image.Image]) -> None:
    for column, tile in enumerate(tiles):
        left = MARGIN_PX + column * (TILE_PX + GAP_PX)
        sheet.paste(tile, (left, top))
        ImageDraw.Draw(sheet).rectangle((left, top, left + TILE_PX - 1, top + TILE_PX - 1), outline=RIM)


def _tiles(samples: Sequence[Sample], task: Targets, classes: Sequence[ClassLabel]) -> list[Image.Image]:
    return [tile for sample in samples if (tile := _tile(sample, task, classes)) is not None]


def _tile(sample: Sample, task: Targets, classes: Sequence[ClassLabel]) -> Image.Image | None:
    """A square: the center of the image, or all of it on a ground of its own."""
    try:
        image = decoding.decode(sample.path, draft_px=2 * TILE_PX)
        scale = TILE_PX / (min(image.size) if task.cuts_images else max(image.size))
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        drawn = task.draw_target(image.resize(size, Image.Resampling.BICUBIC), sample.target, classes)
    except ImageError:
        return None  # the doctor's findings speak of it
    if task.cuts_images:
        return ImageOps.fit(drawn, (TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
    return ImageOps.pad(drawn, (TILE_PX, TILE_PX), Image.Resampling.BICUBIC, GROUND)
