"""The scores of a classifier as figures. They stand alone: nothing here touches matplotlib's global state.

Blue is right and orange is wrong, everywhere. Texts outside the axes may be recoloured, for a dark page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

if TYPE_CHECKING:
    from mobilevit.tasks.classification.scores import CalibrationBin, ClassScore, Counts

BLUE, ORANGE, GREY, INK, PAPER = "#3d74b8", "#d9822b", "#76808c", "#1d2733", "#ffffff"
RIGHT = LinearSegmentedColormap.from_list("right", ["#f7f9fb", "#9dbbdc", BLUE, "#234a7c"])
WRONG = LinearSegmentedColormap.from_list("wrong", ["#f7f9fb", "#f4c897", ORANGE, "#a3501a"])
NAMED_CLASSES = 40  # most classes whose names fit beside a matrix or bars
COUNTED_CLASSES = 25  # most classes whose counts fit into the cells
LETTERS = 22  # of a name


def confusion(counts: "Counts", names: Sequence[str]) -> Figure:
    """(K, K) counts, rows the true class, for 2 to 1000 classes.

    Rows are the classes that are there. Where their names fit, all that were predicted only share a last column; where
    they do not, the commonest confusions are listed beside.
    """
    present = counts.sum(axis=1) > 0
    if present.sum() <= NAMED_CLASSES:
        return _named_confusion(*_with_others(counts, names, present))
    return _large_confusion(counts, names)


def _with_others(
    counts: "Counts", names: Sequence[str], present: npt.NDArray[np.bool_]
) -> tuple["Counts", list[str], list[str]]:
    """Counts, names of the rows and names of the columns."""
    here, absent = np.flatnonzero(present).tolist(), np.flatnonzero(~present).tolist()
    rows = [names[k] for k in here]
    among = counts[np.ix_(here, here)]
    if not absent:
        return among, rows, rows
    beyond = counts[np.ix_(here, absent)].sum(axis=1, keepdims=True)
    others = names[absent[0]] if len(absent) == 1 else f"{len(absent)} others"
    return np.concatenate([among, beyond], axis=1), rows, [*rows, others]


def _named_confusion(counts: "Counts", rows: Sequence[str], columns: Sequence[str]) -> Figure:
    cell = 0.5 if len(columns) <= 12 else 0.4 if len(columns) <= COUNTED_CLASSES else 0.27  # inches
    letters = max(map(len, columns))
    margin = 1.2 + 0.085 * min(LETTERS, letters)
    size = max(4.2, cell * len(columns) + margin), max(3.6, cell * len(rows) + margin)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    colours = _cells(counts, faintest=0.0)
    axes.imshow(colours, interpolation="nearest")
    if len(columns) <= COUNTED_CLASSES:
        _write_counts(axes, counts, colours, font_size=9 if cell == 0.5 else 8)
    axes.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=90 if letters > 4 else 0)
    axes.set_yticks(range(len(rows)), [_short(name) for name in rows])
    axes.tick_params(length=0, labelsize=9)
    _frame_matrix(axes, counts)
    return figure


def _write_counts(axes: Axes, counts: "Counts", colours: npt.NDArray[np.float64], *, font_size: int) -> None:
    """Into every cell but the empty ones, light on dark."""
    lightness = colours @ (0.3, 0.59, 0.11)
    for row, column in np.argwhere(counts).tolist():
        ink = PAPER if lightness[row, column] < 0.6 else INK
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, color=ink, fontsize=font_size, ha="center", va="center")


def _large_confusion(counts: "Counts", names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(12.5, 8.6), dpi=130, layout="constrained")  # a pixel a class, up to 1000
    axes, beside = figure.subplots(1, 2, width_ratios=(3, 1.25))
    axes.imshow(_cells(counts, faintest=0.35), interpolation="nearest")
    axes.tick_params(labelsize=9)
    _frame_matrix(axes, counts)
    beside.set_title("commonest confusions", loc="left", fontsize=11)
    beside.axis("off")
    beside.set(xlim=(0, 1), ylim=(LISTED, 0))
    for place, (row, column) in enumerate(_commonest(counts)):
        share = f"{counts[row, column]:,} of {counts[row].sum():,}"
        beside.text(0.0, place + 0.5, share, fontsize=9, color=GREY)
        beside.text(0.3, place + 0.5, f"{_short(names[row])} → {_short(names[column])}", fontsize=9, color=GREY)
    return figure


LISTED = 30  # confusions


def _commonest(counts: "Counts") -> list[tuple[int, int]]:
    """The cells beside the diagonal with the largest counts."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:LISTED]
    return [divmod(int(flat), len(counts)) for flat in order if wrong.flat[flat]]


def _cells(counts: "Counts", *, faintest: float) -> npt.NDArray[np.float64]:
    """(R, C, 3) colours: the share of the true class, blue on the diagonal; errors by its root, to be seen at all,
    and none but zero below `faintest`, 0-1."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    errors = np.where(shares > 0, faintest + (1 - faintest) * np.sqrt(shares), 0.0)
    diagonal = np.eye(*counts.shape)[..., None] > 0
    return np.asarray(np.where(diagonal, RIGHT(shares), WRONG(errors))[..., :3], np.float64)


def _frame_matrix(axes: Axes, counts: "Counts") -> None:
    right = counts.trace() / counts.sum()
    axes.set_title(f"{counts.sum():,} pictures, {right:.1%} right", loc="left", fontsize=11)
    axes.set_xlabel("predicted class", fontsize=10)
    axes.set_ylabel("true class", fontsize=10)
    axes.spines[:].set_visible(False)


def reliability(bins: "Sequence[CalibrationBin]", ece: float) -> Figure:
    """Accuracy over confidence, on the diagonal where the network is as sure as it is right; below, how often."""
    filled = [bin for bin in bins if bin.count]
    figure = Figure(figsize=(4.8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    for bin in filled:
        _bar_with_gap(upper, bin)
    upper.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1)
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("accuracy", fontsize=10)
    upper.set_title(f"calibration error (ECE) {ece:.1%}: {_verdict(filled)}", loc="left", fontsize=11)
    shares = [bin.count / sum(bin.count for bin in filled) for bin in filled]
    lower.bar([bin.low for bin in filled], shares, bins[0].high - bins[0].low, align="edge", color=GREY)
    lower.set_xlabel("confidence", fontsize=10)
    lower.set_ylabel("pictures", fontsize=10)
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        _finish(axes, grid="y")
    patches = [Patch(color=colour, label=label) for label, colour in GAPS.items()]
    figure.legend(handles=patches, frameon=False, fontsize=9, loc="outside lower center", ncols=3, columnspacing=1.2)
    return figure


GAPS = {"accuracy": BLUE, "more right than sure": "#a9c4e2", "more sure than right": "#f0c08c"}


def _bar_with_gap(axes: Axes, bin: "CalibrationBin") -> None:
    confidence, accuracy = bin.confidence or 0.0, bin.accuracy or 0.0
    low, high = sorted((confidence, accuracy))
    colours = [GAPS["accuracy"], GAPS["more sure than right" if confidence > accuracy else "more right than sure"]]
    heights, bottoms = [low, high - low], [0.0, low]
    width = bin.high - bin.low
    axes.bar([bin.low] * 2, heights, width, bottoms, align="edge", color=colours, edgecolor=PAPER, linewidth=0.6)


def _verdict(filled: "Sequence[CalibrationBin]") -> str:
    total = sum(bin.count for bin in filled)
    surplus = sum(bin.count * ((bin.confidence or 0.0) - (bin.accuracy or 0.0)) for bin in filled) / total
    if abs(surplus) < 0.01:
        return "as sure as right"
    return "too sure" if surplus > 0 else "not sure enough"


def recall(rows: "Sequence[ClassScore]") -> Figure:
    """The share of each class that was found, lowest first, with its precision as a mark; the lowest of many."""
    lowest = sorted(rows, key=lambda row: (row.recall or 0.0, row.name))[:NAMED_CLASSES]
    figure = Figure(figsize=(6.4, 1.3 + 0.27 * len(lowest)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(lowest)), [row.recall or 0.0 for row in lowest], 0.7, color=BLUE, label="recall")
    _mark_precision(axes, lowest)
    for place, row in enumerate(lowest):
        found = f"{round((row.recall or 0.0) * row.count):,} of {row.count:,}"
        axes.text(1.03, place, found, va="center", fontsize=9, color=GREY)
    axes.set_yticks(range(len(lowest)), [_short(row.name) for row in lowest])
    axes.set(xlim=(0, 1), ylim=(len(lowest) - 0.4, -0.6))
    title = "classes, the hardest first" if len(lowest) == len(rows) else f"the {len(lowest)} hardest of {len(rows):,}"
    axes.set_title(title, loc="left", fontsize=11)
    _finish(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    return figure


def _mark_precision(axes: Axes, rows: "Sequence[ClassScore]") -> None:
    marked = [(row.precision, place) for place, row in enumerate(rows) if row.precision is not None]
    x, y = [share for share, _ in marked], [place for _, place in marked]
    axes.plot(x, y, "D", markersize=4.5, color=PAPER, markeredgecolor="#234a7c", clip_on=False, label="precision")


def _finish(axes: Axes, *, grid: Literal["x", "y"]) -> None:
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(labelsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=GREY, alpha=0.25)
    axes.set_axisbelow(True)


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1].rstrip()}…"
