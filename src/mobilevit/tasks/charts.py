"""Figures that tasks share. They stand alone: nothing here touches matplotlib's global state.

Blue is right and orange is wrong, everywhere. Texts outside the axes may be recolored, for a dark page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mobilevit.figures import Axes, Figure, LinearSegmentedColormap, PercentFormatter

BLUE, ORANGE, GRAY, INK, PAPER = "#3d74b8", "#d9822b", "#76808c", "#1d2733", "#ffffff"
DARK_BLUE = "#234a7c"
RIGHT = LinearSegmentedColormap.from_list("right", ["#f7f9fb", "#9dbbdc", BLUE, DARK_BLUE])
WRONG = LinearSegmentedColormap.from_list("wrong", ["#f7f9fb", "#f4c897", ORANGE, "#a3501a"])
NAMED_CLASSES = 40  # most classes whose names fit beside a matrix or bars
COUNTED_CLASSES = 25  # most classes whose counts fit into the cells
LETTERS = 22  # of a name

Counts = npt.NDArray[np.int64]
Cell = Literal["count", "share"]


def confusion(counts: Counts, names: Sequence[str], *, counted: str = "images", cell: Cell = "count") -> Figure:
    """(K, K) counts of what is `counted`, rows the true class, for 2 to 1000 classes.

    A cell says its count, or its share of the true class in percents.

    Rows are the classes that are there. Where their names fit, all that were predicted only share a last column; where
    they do not, the commonest confusions are listed beside.
    """
    present = counts.sum(axis=1) > 0
    if present.sum() <= NAMED_CLASSES:
        figure = _named_confusion(*_with_others(counts, names, present), cell)
    else:
        figure = _large_confusion(counts, names)
    figure.axes[0].set_title(
        f"{counts.sum():,} {counted}, {counts.trace() / counts.sum():.1%} right", loc="left", fontsize=11
    )
    if cell == "share":
        figure.axes[0].set_ylabel("true class (each row in percent)", fontsize=10)
    return figure


def _with_others(
    counts: Counts, names: Sequence[str], present: npt.NDArray[np.bool_]
) -> tuple[Counts, list[str], list[str]]:
    """Counts, names of the rows and names of the columns."""
    here, absent = np.flatnonzero(present).tolist(), np.flatnonzero(~present).tolist()
    rows = [names[k] for k in here]
    among = counts[np.ix_(here, here)]
    if not absent:
        return among, rows, rows
    beyond = counts[np.ix_(here, absent)].sum(axis=1, keepdims=True)
    others = names[absent[0]] if len(absent) == 1 else f"{len(absent)} others"
    return np.concatenate([among, beyond], axis=1), rows, [*rows, others]


def _named_confusion(counts: Counts, rows: Sequence[str], columns: Sequence[str], cell: Cell) -> Figure:
    side = 0.5 if len(columns) <= 12 else 0.4 if len(columns) <= COUNTED_CLASSES else 0.27  # inches
    letters = max(map(len, columns))
    margin = 1.2 + 0.085 * min(LETTERS, letters)
    size = max(4.2, side * len(columns) + margin), max(3.6, side * len(rows) + margin)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    colors = _cells(counts, faintest=0.0)
    axes.imshow(colors, interpolation="nearest")
    if len(columns) <= COUNTED_CLASSES:
        _write_cells(axes, counts, colors, cell, font_size=9 if side == 0.5 else 8)
    axes.set_xticks(range(len(columns)), [short(name) for name in columns], rotation=90 if letters > 4 else 0)
    axes.set_yticks(range(len(rows)), [short(name) for name in rows])
    axes.tick_params(length=0, labelsize=9)
    _frame_matrix(axes)
    return figure


def _write_cells(axes: Axes, counts: Counts, colors: npt.NDArray[np.float64], cell: Cell, *, font_size: int) -> None:
    """Into every cell but the empty ones, light on dark."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    lightness = colors @ (0.3, 0.59, 0.11)
    for row, column in np.argwhere(counts).tolist():
        ink = PAPER if lightness[row, column] < 0.6 else INK
        text = f"{counts[row, column]:,}" if cell == "count" else _percent(shares[row, column])
        axes.text(column, row, text, color=ink, fontsize=font_size, ha="center", va="center")


def _percent(share: float) -> str:
    """Without the sign; nothing for what would be read as 0."""
    return f"{100 * share:.0f}" if share >= 0.005 else ""


def _large_confusion(counts: Counts, names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(12.5, 8.6), dpi=130, layout="constrained")  # a pixel a class, up to 1000
    axes, beside = figure.subplots(1, 2, width_ratios=(3, 1.25))
    axes.imshow(_cells(counts, faintest=0.35), interpolation="nearest")
    axes.tick_params(labelsize=9)
    _frame_matrix(axes)
    beside.set_title("commonest confusions", loc="left", fontsize=11)
    beside.axis("off")
    beside.set(xlim=(0, 1), ylim=(LISTED, 0))
    for place, (row, column) in enumerate(_commonest(counts)):
        share = f"{counts[row, column]:,} of {counts[row].sum():,}"
        beside.text(0.0, place + 0.5, share, fontsize=9, color=GRAY)
        beside.text(0.3, place + 0.5, f"{short(names[row])} → {short(names[column])}", fontsize=9, color=GRAY)
    return figure


LISTED = 30  # confusions


def _commonest(counts: Counts) -> list[tuple[int, int]]:
    """The cells beside the diagonal with the largest counts."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    return [divmod(int(flat), len(counts)) for flat in order if wrong.flat[flat]]


def _cells(counts: Counts, *, faintest: float) -> npt.NDArray[np.float64]:
    """(R, C, 3) colors: the share of the true class, blue on the diagonal; errors by its root, to be seen at all,
    and none but zero below `faintest`, 0-1."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = np.where(shares > 0, faintest + (1 - faintest) * np.sqrt(shares), 0.0)
    diagonal = np.eye(*counts.shape)[..., None] > 0
    return np.asarray(np.where(diagonal, RIGHT(shares), WRONG(errors))[..., :3], np.float64)


def _frame_matrix(axes: Axes) -> None:
    axes.set_xlabel("predicted class", fontsize=10)
    axes.set_ylabel("true class", fontsize=10)
    axes.spines[:].set_visible(False)


@dataclass(frozen=True)
class Bar:
    """A class among others."""

    name: str
    share: float  # 0-1, its length
    text: str  # beside it
    mark: float | None = None  # 0-1, of another share; None: it has none


def bars(rows: Sequence[Bar], *, share: str, mark: str) -> Figure:
    """Classes with bars, lowest first, and another share of each as a mark; the lowest of many.

    `share` and `mark` are what the two are called.
    """
    lowest = sorted(rows, key=lambda row: (row.share, row.name))[:NAMED_CLASSES]
    figure = Figure(figsize=(6.4, 1.3 + 0.27 * len(lowest)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(lowest)), [row.share for row in lowest], 0.7, color=BLUE, label=share)
    marked = [(row.mark, place) for place, row in enumerate(lowest) if row.mark is not None]
    x, y = [at for at, _ in marked], [place for _, place in marked]
    axes.plot(x, y, "D", markersize=4.5, color=PAPER, markeredgecolor=DARK_BLUE, clip_on=False, label=mark)
    for place, row in enumerate(lowest):
        axes.text(1.03, place, row.text, va="center", fontsize=9, color=GRAY)
    axes.set_yticks(range(len(lowest)), [short(row.name) for row in lowest])
    axes.set(xlim=(0, 1), ylim=(len(lowest) - 0.4, -0.6))
    title = "classes, the hardest first" if len(lowest) == len(rows) else f"the {len(lowest)} hardest of {len(rows):,}"
    axes.set_title(title, loc="left", fontsize=11)
    finish(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    return figure


def finish(axes: Axes, *, grid: Literal["x", "y"]) -> None:
    """Axes of shares: percents, a grid along one of them, no frame above and beside."""
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=GRAY, alpha=0.25)
    axes.set_axisbelow(True)


def short(name: str) -> str:
    """A name of LETTERS at most."""
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1].rstrip()}…"
