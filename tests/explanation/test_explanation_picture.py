"""The picture: each pixel of a map is painted over the part of the crop that it stands for, and all is shown."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from mobilevit.explanation.attention import PixelAttention
from mobilevit.explanation.drawing import ATTENTION_COLOURS, draw, paint
from mobilevit.explanation.evidence import Evidence
from mobilevit.tasks.classification.result import Classification, Score

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
    expected = colormaps[ATTENTION_COLOURS](cells.data / cells.max(), bytes=True)[..., :3].astype(int)
    for r in range(side):
        for c in range(side):
            if (r - row) % 2 == 0 and (c - column) % 2 == 0:
                assert abs(middles[r, c] - expected[r, c]).max() <= 2
            else:
                assert len(set(middles[r, c])) == 1, "not seen directly: the crop itself, dark and grey"


def evidence(**changes: object) -> Evidence:
    top = tuple(Score(f"n{i}", name, 0.5**i) for i, name in enumerate(["red $fox", "goose_{x", "a" * 90, "cup"], 1))
    best = Classification(top)
    maps = (attention(7, 3, 32, layers=2), attention(3, 1, 16, layers=4), attention(1, 0, 8, layers=3))
    crop = Image.effect_noise((256, 256), 90).convert("RGB")
    everything = {"crop": crop, "result": best, "explained": top[0], "heat": torch.rand(8, 8), "pixel": (0.1, 0.2)}
    return Evidence(**{**everything, "attention": maps, **changes})  # type: ignore[arg-type]


def test_draws_all_panels_and_any_class_name() -> None:
    picture = draw(evidence(), "How to read: it costs $5, or $6 with \\frac{")
    assert picture.mode == "RGB"
    assert picture.width > 1000
    assert picture.height > 1000


@pytest.mark.parametrize(
    "changes",
    [
        {"heat": torch.zeros(8, 8)},  # nothing speaks for the class
        {"explained": Score("n9", "far behind", 0.0001)},
        {"attention": (attention(0, 0, 2, layers=7),)},  # another number of blocks and layers
        {"pixel": (1.0, 0.0)},
    ],
    ids=["cold", "unlikely", "other-network", "corner"],
)
def test_draws_the_unusual(changes: dict[str, object]) -> None:
    assert draw(evidence(**changes), "How to read").width > 1000
