"""The scores of a detector as figures of its own; those of all tasks are in `tasks.charts`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mobilevit.figures import Axes, Figure, Patch, PercentFormatter
from mobilevit.tasks.charts import BLUE, GRAY, NAMED_CLASSES, ORANGE, Bar, bars, finish, short
from mobilevit.tasks.detection.coco_scores import RECALLS, Curve

if TYPE_CHECKING:
    from mobilevit.tasks.detection.scores import ClassMistakes, ClassScore

COLORS = (BLUE, ORANGE, "#2a8a57", "#a0568f", "#00939e", "#965a00", "#c8453b", "#6a5acd")
F1 = (0.2, 0.4, 0.6, 0.8)  # of the lines in the background


def precision_recall(curves: Mapping[str, Curve]) -> Figure:
    """Precision over recall of each class at IoU .50, (101,) at RECALLS; the best and the worst named where there are
    many. Thin lines join points of equal F1."""
    figure = Figure(figsize=(5.6, 4.9), layout="constrained")
    axes = figure.add_subplot()
    _f1_lines(axes)
    order = sorted(curves, key=lambda name: -curves[name].mean())
    reached = {name: np.where(curve > 0, curve, np.nan) for name, curve in curves.items()}
    named = order if len(order) <= len(COLORS) else [*order[: len(COLORS) // 2], *order[-len(COLORS) // 2 :]]
    for name in order:
        if name not in named:
            axes.step(RECALLS, reached[name], where="pre", color=GRAY, linewidth=0.8, alpha=0.35)
    for name, color in zip(named, COLORS, strict=False):
        label = f"{short(name)}  {curves[name].mean():.3f}"
        axes.step(RECALLS, reached[name], where="pre", color=color, linewidth=2, label=label)
    if len(order) > 1:
        mean = np.mean(list(curves.values()), axis=0)
        axes.plot(
            RECALLS, mean, color=GRAY, linewidth=2, linestyle="--", label=f"mean of {len(order)}  {mean.mean():.3f}"
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("recall: true boxes that are found", fontsize=10)
    axes.set_ylabel("precision: found boxes that are right", fontsize=10)
    axes.set_title("average precision at IoU .50", loc="left", fontsize=11)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    finish(axes, grid="y")
    columns = 3 if max(map(len, named)) <= 12 else 2
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=columns, columnspacing=1.2)
    return figure


def _f1_lines(axes: Axes) -> None:
    for f1 in F1:
        recall = np.linspace(f1 / (2 - f1) + 1e-6, 1, 100)
        axes.plot(recall, f1 * recall / (2 * recall - f1), color=GRAY, linewidth=0.7, alpha=0.45)
        axes.annotate(f"F1 {f1:.1f}", (0.995, f1 / (2 - f1)), color=GRAY, fontsize=7, ha="right", va="bottom")


def precision(rows: "Sequence[ClassScore]") -> Figure:
    """Average precision of each class, lowest first, with that at IoU .50 as a mark; the lowest of many."""
    found = [Bar(row.name, row.ap or 0.0, f"{row.count:,} boxes", row.ap50) for row in rows]
    return bars(found, share="average precision, mean over IoU .50 to .95", mark="at IoU .50")


def mistakes(rows: "Sequence[ClassMistakes]", score_threshold: float) -> Figure:
    """What became of the true boxes of each class, and what the boxes are that were found."""
    most = sorted(rows, key=lambda row: -(row.missed + row.false))[:NAMED_CLASSES]
    figure = Figure(figsize=(9.6, 1.3 + 0.3 * len(most)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    true = {"found": [row.found for row in most], "missed": [row.missed for row in most]}
    shown = {
        "right": [row.found for row in most],
        "localization": [row.localization for row in most],
        "classification": [row.classification for row in most],
        "duplicate": [row.duplicate for row in most],
        "background": [row.background for row in most],
    }
    _stacked(left, true, "true boxes")
    _stacked(right, shown, f"boxes found, above {score_threshold:g}")
    left.set_yticks(range(len(most)), [short(row.name) for row in most])
    left.set_ylim(len(most) - 0.4, -0.6)
    patches = [Patch(color=color, label=" / ".join(kinds)) for color, kinds in KINDS.items()]
    figure.legend(handles=patches, frameon=False, fontsize=9, loc="outside lower center", ncols=6, columnspacing=1.2)
    return figure


KINDS = {
    BLUE: ("found", "right"),
    ORANGE: ("missed",),
    "#fae0c3": ("localization",),
    "#f2b97c": ("classification",),
    "#c46a15": ("duplicate",),
    "#8f4310": ("background",),
}


def _stacked(axes: Axes, counts: Mapping[str, Sequence[int]], title: str) -> None:
    """Bars of shares, one on the other, and the whole of each beside."""
    colors = {kind: color for color, kinds in KINDS.items() for kind in kinds}
    totals = np.sum(list(counts.values()), axis=0)
    start = np.zeros(len(totals))
    for kind, numbers in counts.items():
        shares = np.array(numbers) / np.maximum(totals, 1)
        axes.barh(range(len(totals)), shares, 0.7, start, color=colors[kind])
        start += shares
    for place, total in enumerate(totals.tolist()):
        axes.text(1.02, place, f"{total:,}", va="center", fontsize=9, color=GRAY)
    axes.set_xlim(0, 1)
    axes.set_title(title, loc="left", fontsize=11)
    finish(axes, grid="x")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
