"""The image at the top of the README, from the demo's detector and its val images.

    mobilevit demo --task detection
    python benchmarks/front_image.py runs/demo-detection/best.safetensors runs/digit-boxes/val

Two of the images that the model gets right with the highest scores, as `mobilevit predict --output` draws them; then
what `mobilevit explain` finds for one object: what speaks for it, and what one pixel attends to. Also the whole sheet
of the explanation, for docs/explain.md.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import tyro
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import mobilevit
from mobilevit.explanation.attributions import Attributions

TILE_PX, GAP_PX, TOP_PX = 400, 24, 56
BLOCK, LAYER = 1, 1  # of the attention that is shown: the second block's second layer
INK, PAPER, RED = "#24292f", "#ffffff", "#e5383b"


@dataclass(frozen=True)
class Options:
    """What to draw."""

    model: Annotated[Path, tyro.conf.Positional]  # the demo's detector
    images: Annotated[Path, tyro.conf.Positional]  # folder of its val images, with the COCO file
    output: Path = Path("docs/images")


def main(options: Options) -> None:
    best = [_enlarged(path) for path in _right(options)[:2]]
    drawn = [image for _, image in mobilevit.Predictor(options.model).drawn(best)]  # type: ignore[misc]
    explanation = mobilevit.explain(options.model, best[0])
    found = explanation.attributions
    tiles = [
        Tile(drawn[0], "Predictions, with scores"),
        Tile(drawn[1], "on images held out of training"),
        Tile(_heat(found), f"Why this is a {found.target.name}", "Grad-CAM: bright speaks for it"),
        Tile(_attention(found), "What one pixel attends to", "MobileViT: the pixels at its own place in every patch"),
    ]
    _joined(tiles).save(options.output / "predictions.jpg", quality=88, optimize=True)
    explanation.image.quantize(128, dither=Image.Dither.NONE).save(options.output / "explain.png", optimize=True)


@dataclass(frozen=True)
class Tile:
    """One column of the image."""

    image: Image.Image
    caption: str  # above it
    legend: str = ""  # below it, where the image has none of its own


def _right(options: Options) -> list[Path]:
    """The images of at least three objects whose classes are all found, and no others; by their lowest score."""
    (annotations,) = options.images.glob("*.json")
    coco = json.loads(annotations.read_text(encoding="utf-8"))
    names = {category["id"]: category["name"] for category in coco["categories"]}
    truth = defaultdict(list)
    for box in coco["annotations"]:
        truth[box["image_id"]].append(names[box["category_id"]])
    paths = {image["id"]: options.images / image["file_name"] for image in coco["images"]}
    scored = []
    for number, found in zip(paths, mobilevit.Predictor(options.model)(list(paths.values())), strict=True):
        if sorted(each.class_name for each in found.objects) == sorted(truth[number]) and len(truth[number]) >= 3:
            scored.append((min(each.score for each in found.objects), paths[number]))
    if len(scored) < 2:
        raise SystemExit(f"error: {options.model} gets fewer than two images right: train it longer")
    return [path for _, path in sorted(scored, reverse=True)]


def _enlarged(path: Path) -> Image.Image:
    """So large that labels are sharp on it; the model sees it at its own size."""
    with Image.open(path) as image:
        return image.convert("RGB").resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)


def _heat(found: Attributions) -> Image.Image:
    crop, size = _gray(found), (TILE_PX, TILE_PX)
    warmth = Image.fromarray(np.asarray(found.heat, np.float32)).resize(size, Image.Resampling.BICUBIC)
    shares = np.clip(np.asarray(warmth), 0, 1)[..., None]
    return _image((1 - 0.85 * shares) * crop + 0.85 * shares * _colors(shares[..., 0], "inferno"))


def _attention(found: Attributions) -> Image.Image:
    """The pixels of the block's map that the marked one attends to, colored by how much."""
    attention = found.attention[BLOCK]
    weights = np.asarray(attention.weights[LAYER], np.float32)
    cells = _colors(np.sqrt(weights / weights.max()), "viridis")
    size, seen = (TILE_PX, TILE_PX), np.asarray(attention.seen)
    colors = np.asarray(Image.fromarray(cells.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    shown = np.asarray(Image.fromarray(seen).resize(size, Image.Resampling.NEAREST))[..., None]
    tile = _image(np.where(shown, 0.2 * _gray(found) + 0.8 * colors, _gray(found)))
    side = TILE_PX / len(weights)
    place = [round(side * part) for part in (attention.column, attention.row, attention.column + 1, attention.row + 1)]
    ImageDraw.Draw(tile).rectangle([place[0] - 4, place[1] - 4, place[2] + 4, place[3] + 4], outline=RED, width=5)
    return tile


def _gray(found: Attributions) -> NDArray[np.float32]:
    """(S, S, 1): the image, light enough to show colors on it."""
    crop = found.crop.convert("L").resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
    return 0.85 * np.asarray(crop, np.float32)[..., None]


def _colors(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """(H, W, 3), 0-255."""
    found: NDArray[np.float32] = 255 * matplotlib.colormaps[name](values)[..., :3]
    return found


def _image(pixels: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.broadcast_to(pixels, (TILE_PX, TILE_PX, 3)).round().astype(np.uint8))


def _joined(tiles: list[Tile]) -> Image.Image:
    height = TOP_PX + max(tile.image.height for tile in tiles)
    sheet = Image.new("RGB", (len(tiles) * (TILE_PX + GAP_PX) - GAP_PX, height), PAPER)
    pen, font = ImageDraw.Draw(sheet), font_manager.findfont("DejaVu Sans")
    for place, tile in enumerate(tiles):
        left = place * (TILE_PX + GAP_PX)
        pen.text((left, 14), tile.caption, INK, ImageFont.truetype(font, 23))
        sheet.paste(tile.image, (left, TOP_PX))
        pen.text((left + 14, TOP_PX + TILE_PX + 12), tile.legend, INK, ImageFont.truetype(font, 14))
    return sheet


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
