"""The scores of a classifier as figures of its own; those of all tasks are in `tasks.charts`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mobilevit.figures import Axes, Figure, Patch, PercentFormatter
from mobilevit.tasks.charts import BLUE, GRAY, PAPER, Bar, bars, finish

if TYPE_CHECKING:
    from mobilevit.tasks.classification.scores import CalibrationBin, ClassScore


def reliability(bins: "Sequence[CalibrationBin]", ece: float) -> Figure:
    """Accuracy over confidence, on the diagonal where the model is as sure as it is right; below, how often."""
    filled = [bin for bin in bins if bin.count]
    figure = Figure(figsize=(4.8, 5.2), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    for bin in filled:
        _bar_with_gap(upper, bin)
    upper.plot((0, 1), (0, 1), color=GRAY, linestyle="--", linewidth=1)
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_ylabel("accuracy", fontsize=10)
    upper.set_title(f"calibration error (ECE) {ece:.1%}: {_verdict(filled)}", loc="left", fontsize=11)
    shares = [bin.count / sum(bin.count for bin in filled) for bin in filled]
    lower.bar([bin.low for bin in filled], shares, bins[0].high - bins[0].low, align="edge", color=GRAY)
    lower.set_xlabel("confidence", fontsize=10)
    lower.set_ylabel("images", fontsize=10)
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        finish(axes, grid="y")
    patches = [Patch(color=color, label=label) for label, color in GAPS.items()]
    figure.legend(handles=patches, frameon=False, fontsize=9, loc="outside lower center", ncols=3, columnspacing=1.2)
    return figure


GAPS = {"accuracy": BLUE, "underconfident": "#a9c4e2", "overconfident": "#f0c08c"}


def _bar_with_gap(axes: Axes, bin: "CalibrationBin") -> None:
    confidence, accuracy = bin.confidence or 0.0, bin.accuracy or 0.0
    low, high = sorted((confidence, accuracy))
    colors = [GAPS["accuracy"], GAPS["overconfident" if confidence > accuracy else "underconfident"]]
    heights, bottoms = [low, high - low], [0.0, low]
    width = bin.high - bin.low
    axes.bar([bin.low] * 2, heights, width, bottoms, align="edge", color=colors, edgecolor=PAPER, linewidth=0.6)


def _verdict(filled: "Sequence[CalibrationBin]") -> str:
    total = sum(bin.count for bin in filled)
    surplus = sum(bin.count * ((bin.confidence or 0.0) - (bin.accuracy or 0.0)) for bin in filled) / total
    if abs(surplus) < 0.01:
        return "calibrated"
    return "overconfident" if surplus > 0 else "underconfident"


def recall(rows: "Sequence[ClassScore]") -> Figure:
    """The share of each class that was found, lowest first, with its precision as a mark; the lowest of many."""
    found = [
        Bar(row.name, row.recall or 0.0, f"{round((row.recall or 0.0) * row.count):,} of {row.count:,}", row.precision)
        for row in rows
    ]
    return bars(found, share="recall", mark="precision")
