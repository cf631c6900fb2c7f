"""Curves of a run as figures. They stand alone: nothing here touches matplotlib's global state."""

from collections.abc import Mapping, Sequence
from math import isnan, nan

from mobilevit.figures import Axes, Figure, MaxNLocator

History = Sequence[Mapping[str, float | str | None]]  # None and "": a score that could not be measured

FIRST, SECOND, QUIET = "#3d74b8", "#d9822b", "#8a94a0"
LOSSES = ("train_loss", "val_loss", "val_nll")  # columns that share the panel of the losses
SCORES_SHOWN = 2  # of the task's scores; the first decides which epoch was best


def curves(history: History) -> Figure:
    """Loss, score, learning rate and image size over the epochs; a row of `history` is one of metrics.csv."""
    measured = [name for name in history[0] if not all(isnan(value) for value in _column(history, name))]
    losses = [name for name in LOSSES if name in measured]
    scores = [name for name in measured if name.startswith("val_") and name not in LOSSES][:SCORES_SHOWN]
    panels = {"loss": losses, "score": scores, "learning rate": ["lr"], "image size, px": ["image_size"]}
    shown = {title: [name for name in names if name in measured] for title, names in panels.items()}
    shown = {title: names for title, names in shown.items() if names}
    figure = Figure(figsize=(4.2 * len(shown), 3.0), layout="constrained")
    for place, (title, names) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(1, len(shown), place)
        for name, color in zip(names, (FIRST, SECOND, QUIET), strict=False):
            _line(axes, history, name, color)
        _finish(axes, title, legend=len(names) > 1)
        if title == "score":
            _mark_best(axes, history, names[0])
    return figure


def lr_curve(lrs: Sequence[float], losses: Sequence[float], suggestion: float | None) -> Figure:
    """The range test: loss over learning rate, and the rate that it suggests, or that it suggests none."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(lrs, losses, color=FIRST, linewidth=2)
    if suggestion is None:
        axes.annotate(NO_RATE, (0.5, 0.97), xycoords="axes fraction", color=SECOND, ha="center", va="top")
    else:
        axes.axvline(suggestion, color=SECOND, linestyle="--")
        axes.annotate(f" {suggestion:.2g}", (suggestion, max(losses)), color=SECOND, va="top")
    axes.set_xscale("log")
    _finish(axes, "loss", x_label="learning rate")
    return figure


NO_RATE = "the loss never falls clearly: no rate is suggested"


def _line(axes: Axes, history: History, name: str, color: str) -> None:
    """One column; a marker on each epoch where there are few enough to tell apart."""
    marker = "o" if len(history) <= MARKED_EPOCHS else None
    epochs, values = _column(history, "epoch"), _column(history, name)
    axes.plot(epochs, values, color=color, linewidth=2, marker=marker, markersize=3, label=_words(name))


MARKED_EPOCHS = 30


def _column(history: History, name: str) -> list[float]:
    """NaN where it was not measured, which leaves a gap in a line."""
    return [float(row[name] or 0.0) if row[name] not in (None, "") else nan for row in history]


def _mark_best(axes: Axes, history: History, name: str) -> None:
    measured = zip(_column(history, "epoch"), _column(history, name), strict=True)
    point = max((point for point in measured if not isnan(point[1])), key=lambda point: point[1])
    axes.plot(*point, "o", color=FIRST, markersize=8, fillstyle="none")
    axes.annotate(f"{point[1]:.3f}", point, xytext=(0, -14), textcoords="offset points", color=FIRST, ha="center")


def _finish(axes: Axes, title: str, *, x_label: str = "epoch", legend: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    axes.grid(axis="y", color=QUIET, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if x_label == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if legend:
        axes.legend(frameon=False, fontsize=9)


def _words(column: str) -> str:
    return column.removeprefix("val_").replace("_", " ") if column.startswith("val_") else column.replace("_", " ")
