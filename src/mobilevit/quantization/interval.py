"""How sure is the difference between two scores of the same pictures?"""

import numpy as np

from mobilevit.tasks.base import Metric

RESAMPLES = 1000
CONFIDENCE = 0.95


def paired_interval(mine: Metric, theirs: Metric, count: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Where the main score of `mine` minus that of `theirs` lies, of metrics of the same `count` samples.

    The bootstrap (Efron & Tibshirani 1993, chapter 13): as many pictures as there are, drawn with replacement, the same
    for both; then the percentiles of the differences.
    """
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(resamples):
        places = rng.integers(0, count, count)
        differences.append(mine.resampled(places).primary[1] - theirs.resampled(places).primary[1])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(differences, [tail, 1 - tail])
    return float(low), float(high)
