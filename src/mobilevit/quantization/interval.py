"""How sure is the difference between two scores of the same images?"""

from collections.abc import Callable

import numpy as np

from mobilevit.tasks.base import Metric

RESAMPLES = 400  # a detector's score takes 25 ms and more, and there are two of them
CONFIDENCE = 0.95


def paired_interval(
    mine: Metric, theirs: Metric, count: int, progress: Callable[[int, int], None] | None = None
) -> tuple[float, float]:
    """Where the main score of `mine` minus that of `theirs` lies, of metrics of the same `count` samples.

    The bootstrap (Efron & Tibshirani 1993, chapter 13): as many images as there are, drawn with replacement, the same
    for both; then the percentiles of the differences.
    """
    rng = np.random.default_rng(0)
    differences = []
    for done in range(RESAMPLES):
        places = rng.integers(0, count, count)
        first, second = (metric.resampled(places).primary[1] for metric in (mine, theirs))
        if first is not None and second is not None:  # a draw may hold nothing to measure a score on
            differences.append(first - second)
        if progress is not None:
            progress(done + 1, RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)
