"""The image: each pixel of a map is painted over the part of the crop that it stands for, and all is shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mobilevit.explanation.attention import PixelAttention
from mobilevit.explanation.attributions import Attributions
from mobilevit.explanation.drawing import ATTENTION_COLORS, draw, paint
from mobilevit.tasks.base import ExplanationTarget

SIDE_PX = 320


def attention(row: int, column: int, side: int, layers: int = 1) -> PixelAttention:
    torch.manual_seed(row * side + column)
    seen = torch.zeros(side, side, dtype=torch.bool)
    seen[row % 2 :: 2, column % 2 :: 2] = True
    weights = torch.rand(layers, side, side) * seen
    weights /= weights.sum(dim=(1, 2), keepdim=True)
    return PixelAttention(weights, seen, row, column, 2, (side, side))


@settings(max_examples=8, deadline=None)
@given(side=st.sampled_from([4, 8, 16]), row=st.integers(0, 3), column=st.integers(0, 3))
@example(side=16, row=0, column=15)
def test_a_weight_is_painted_where_its_pixel_lies_in_the_crop(side: int, row: int, column: int) -> None:
    shown = attention(row, column, side)
    figure = Figure(figsize=(SIDE_PX / 100, SIDE_PX / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    cells = np.ma.masked_array(shown.weights[0].numpy(), ~shown.seen.numpy())
    paint(axes, cells, float(cells.max()), shown, Image.new("RGB", (256, 256), "white"))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    painted = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    cell_px = SIDE_PX // side
    middles = painted[cell_px // 2 :: cell_px, cell_px // 2 :: cell_px]  # (side, side, 3)
    expected = colormaps[ATTENTION_COLORS](cells.data / cells.max(), bytes=True)[..., :3].astype(int)
    for r in range(side):
        for c in range(side):
            if (r - row) % 2 == 0 and (c - column) % 2 == 0:
                assert abs(middles[r, c] - expected[r, c]).max() <= 2
            else:
                assert len(set(middles[r, c])) == 1, "not seen directly: the crop itself, dark and gray"


def target(**changes: object) -> ExplanationTarget:
    bars = (("red $fox", 0.5), ("goose_{x", 0.25), ("a" * 90, 0.125), ("cup", 0.0625))
    asked = ExplanationTarget(
        None, "red $fox", "Predicted: red $fox", Tensor.sum, "final", "likeliest classes", bars, 0
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def attributions(**changes: object) -> Attributions:
    maps = (attention(7, 3, 32, layers=2), attention(3, 1, 16, layers=4), attention(1, 0, 8, layers=3))
    crop = Image.effect_noise((256, 256), 90).convert("RGB")
    everything = {"crop": crop, "target": target(), "heat": torch.rand(8, 8), "pixel": (0.1, 0.2)}
    return Attributions(**{**everything, "attention": maps, **changes})  # type: ignore[arg-type]


def test_draws_all_panels_and_any_class_name() -> None:
    image = draw(attributions(), "How to read: it costs $5, or $6 with \\frac{")
    assert image.mode == "RGB"
    assert image.width > 1000
    assert image.height > 1000


def region(*, rows: slice, columns: slice) -> NDArray[np.bool_]:
    inside = np.zeros((64, 64), dtype=bool)
    inside[rows, columns] = True
    return inside


@pytest.mark.parametrize(
    "changes",
    [
        {"heat": torch.zeros(8, 8)},  # nothing speaks for the class
        {"target": target(heading="x" * 300, bar=3)},
        {"target": target(region=np.ones((64, 64), dtype=bool), bars=(("background", 1.0),))},
        {"attention": (attention(0, 0, 2, layers=7),)},  # another number of blocks and layers
        {"pixel": (1.0, 0.0)},
    ],
    ids=["cold", "long", "everywhere", "other-model", "corner"],
)
def test_draws_the_unusual(changes: dict[str, object]) -> None:
    assert draw(attributions(**changes), "How to read").width > 1000


def test_outlines_what_is_explained_at_the_border_too() -> None:
    plain_page = attributions(heat=torch.zeros(8, 8))
    plain = np.asarray(draw(plain_page, "How to read"), int)
    corner = target(region=region(rows=slice(0, 16), columns=slice(48, 64)))
    outlined = np.asarray(draw(replace(plain_page, target=corner), "How to read"), int)
    blue = (outlined != plain).any(axis=2)
    assert blue.any()
    assert blue.mean() < 0.01
