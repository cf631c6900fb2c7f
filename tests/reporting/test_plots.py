"""Curves of a run, and how figures get into a page."""

import base64
import io
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilevit.figures import Figure
from mobilevit.reporting import markup
from mobilevit.reporting.images import INK, figure_image, image_image
from mobilevit.reporting.plots import curves, lr_curve

ROW = {"epoch": 1, "lr": 1e-3, "train_loss": 2.0, "val_top1": 0.1, "val_nll": 2.3, "seconds": 9.0}


def titles(figure: Figure) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def test_curves_show_what_the_history_has() -> None:
    history = [ROW, {**ROW, "epoch": 2, "val_top1": 0.4}, {**ROW, "epoch": 3, "val_top1": 0.3}]
    assert titles(curves(history)) == ["loss", "score", "learning rate"]
    sized = [{**row, "image_size": 64 * row["epoch"]} for row in history]
    assert titles(curves(sized)) == ["loss", "score", "learning rate", "image size, px"]


def test_the_best_epoch_is_marked() -> None:
    history = [ROW, {**ROW, "epoch": 2, "val_top1": 0.4}, {**ROW, "epoch": 3, "val_top1": 0.3}]
    (mark,) = curves(history).axes[1].texts
    assert mark.get_text() == "0.400"
    assert mark.xy == (2, 0.4)


def test_history_of_another_task() -> None:
    """No column but epoch, lr and train_loss is known by name."""
    rows = [{"epoch": n, "lr": 0.1, "train_loss": 1.0, "val_map50": 0.1 * n} for n in (1, 2)]
    assert titles(curves(rows)) == ["loss", "score", "learning rate"]


def test_the_suggested_rate_is_marked() -> None:
    axes = lr_curve([1e-5, 1e-4, 1e-3], [2.0, 1.5, 3.0], 1e-4).axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text().strip() for text in axes.texts] == ["0.0001"]


def test_the_powers_of_a_logarithmic_axis_are_mathematics() -> None:
    figure = lr_curve([1e-5, 1e-4, 1e-3], [2.0, 1.5, 3.0], 1e-4)
    for _ in range(2):
        figure.savefig(io.BytesIO(), format="png", dpi=20)
    ticks = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert {label.get_parse_math() for label in ticks} == {True}


def test_a_flat_curve_says_so_and_marks_no_rate() -> None:
    axes = lr_curve([1e-5, 1e-4, 1e-3], [2.0, 2.0, 2.1], None).axes[0]
    assert [text.get_text() for text in axes.texts] == ["the loss never falls clearly: no rate is suggested"]
    assert len(axes.lines) == 1


def test_a_figure_comes_in_light_and_in_dark() -> None:
    figure = Figure(figsize=(2, 2))
    axes = figure.add_subplot()
    axes.set_title("title")
    axes.text(0.5, 0.5, "of the data", color="#ff0000")
    markup_of_it = figure_image(figure, 'an "alt"')
    dark, light = (_decoded(text) for text in re.findall(r"base64,([^\"]+)", markup_of_it))
    assert _darkest(light) < 60 < 150 < _darkest(dark)
    assert light.getpixel((1, 1))[3] == 0  # the page shows through
    assert axes.texts[0].get_color() == "#ff0000"
    assert "an &quot;alt&quot;" in markup_of_it
    assert set(INK) == {"light", "dark"}


def _decoded(content: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA")


def _darkest(image: Image.Image) -> int:
    """Of the frame: the text within the data is red."""
    pixels = np.asarray(image).reshape(-1, 4)
    gray = pixels[(pixels[:, 3] > 200) & (abs(pixels[:, 0].astype(int) - pixels[:, 2]) < 40)]
    return int(gray[:, :3].min())


def test_an_image_is_shrunk_to_its_place() -> None:
    content = re.search(r"base64,([^\"]+)", image_image(Image.new("RGB", (2000, 1000)), "")).group(1)  # type: ignore[union-attr]
    assert _decoded(content).size == (320, 160)


@given(st.text())
def test_no_text_gets_out_of_its_place(hostile: str) -> None:
    pages = [
        markup.cards({hostile: hostile}),
        markup.pairs({hostile: hostile}),
        markup.table([{"a": hostile, hostile: 1}]),
        markup.section(hostile, "-", about=hostile),
        markup.code(hostile),
        markup.notes([hostile]),
        markup.grid([("", hostile)]),
    ]
    known = re.compile(r"</?(dl|div|dt|dd|table|thead|tbody|tr|th|td|section|h2|p|pre|figure|figcaption|wbr)\b[^<>]*>")
    for page in pages:
        assert not set("<>") & set(known.sub("", page))


def test_numbers_for_people() -> None:
    assert [markup.text(value) for value in (None, True, 1234567, 0.98765, 1e-5, 0.0, "a")] == [
        "\N{EN DASH}",
        "yes",
        "1,234,567",
        "0.988",
        "1e-05",
        "0.000",
        "a",
    ]
    assert [markup.words(name) for name in ("top1", "mean_f1", "val_map50")] == ["top-1", "mean f1", "val map-50"]
