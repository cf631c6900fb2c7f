"""Laws of unfold and fold (paper, section 3.1)."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mobilevit.models.patches import fold, unfold

counts = st.integers(1, 4)


@given(counts, counts, counts, counts, counts, counts)
def test_fold_undoes_unfold(batch: int, channels: int, rows: int, columns: int, high: int, wide: int) -> None:
    height, width = rows * high, columns * wide
    x = torch.arange(batch * channels * height * width).reshape(batch, channels, height, width)
    tokens = unfold(x, high, wide)
    assert tokens.shape == (high * wide * batch, rows * columns, channels)
    assert torch.equal(fold(tokens, high, wide, height, width), x)


@given(st.data(), counts, counts, counts, counts, counts, counts)
def test_each_pixel_lies_where_the_formula_says(
    data: st.DataObject, batch: int, channels: int, rows: int, columns: int, high: int, wide: int
) -> None:
    x = torch.rand(batch, channels, rows * high, columns * wide)
    b = data.draw(st.integers(0, batch - 1))
    i, j = data.draw(st.integers(0, high - 1)), data.draw(st.integers(0, wide - 1))
    r, c = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    token = unfold(x, high, wide)[(i * wide + j) * batch + b, r * columns + c]
    assert torch.equal(token, x[b, :, r * high + i, c * wide + j])
