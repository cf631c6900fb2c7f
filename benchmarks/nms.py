"""How long non-maximum suppression takes on one core: `python benchmarks/nms.py`, with `--results` for the documents.

Candidates as they come from a detector of COCO's 80 classes: after the threshold on scores and the best 400 of each
class. "even": every class has as many. "skewed": few classes have most, up to 400. Boxes lie in heaps, as anchors
around one object do.

On one core of an Intel Xeon at 2.8 GHz, a shared machine under a load of 6, beside the same in torch that it replaced,
in turns on the same boxes (median and fastest of 60, ms): even 4.7 and 3.9, torch 5.2 and 4.2; skewed 8.3 and 6.4,
torch 11.8 and 9.1.
"""

import argparse
import statistics
import time

import numpy as np
import record
from numpy.typing import NDArray

from mobilevit.boxes import nms

CANDIDATES = 4000
CLASSES = 80
TOP = 400  # of a class
THRESHOLD = 0.5  # IoU
RUNS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", action="store_true", help="write benchmarks/results/nms.json too")
    options = parser.parse_args()
    rows: list[record.Row] = []
    for name, labels in (("even", np.arange(CANDIDATES) % CLASSES), ("skewed", skewed())):
        boxes, scores = heaps(len(labels))
        kept = nms(boxes, scores, labels, THRESHOLD)
        times_ms = [timed_ms(boxes, scores, labels) for _ in range(RUNS)]
        rows.append(
            {
                "candidates": name,
                "count": len(labels),
                "classes": CLASSES,
                "most_of_a_class": int(np.bincount(labels).max()),
                "kept": len(kept),
                "latency_ms": round(statistics.median(times_ms), 2),
                "fastest_ms": round(min(times_ms), 2),
                "slowest_ms": round(max(times_ms), 2),
            }
        )
    record.print_rows(rows)
    if options.results:
        record.write("nms", {"candidates": rows})


def skewed() -> NDArray[np.int64]:
    """Class of each candidate: sizes fall off as 1 / rank, none above TOP."""
    shares = 1 / np.arange(1, CLASSES + 1)
    low, high = 0.0, 10.0 * CANDIDATES
    while high - low > 1e-3:  # the scale at which the sizes add up to CANDIDATES
        middle = (low + high) / 2
        low, high = (middle, high) if (middle * shares).clip(max=TOP).sum() < CANDIDATES else (low, middle)
    sizes = np.rint((high * shares).clip(max=TOP)).astype(int)
    sizes[-1] += CANDIDATES - sizes.sum()
    return np.repeat(np.arange(CLASSES), sizes)


def heaps(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes scattered around 60 objects in an image of 1, and their scores."""
    random = np.random.default_rng(0)
    objects = random.random((60, 4), np.float32)[random.integers(60, size=count)]
    centers = objects[:, :2] + 0.03 * random.standard_normal((count, 2), np.float32)
    sizes = 0.05 + 0.3 * objects[:, 2:] * np.exp(0.2 * random.standard_normal((count, 2), np.float32))
    return np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1), random.random(count, np.float32)


def timed_ms(boxes: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    start = time.perf_counter()
    nms(boxes, scores, labels, THRESHOLD)
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
