"""The table of models: parameters and multiply-adds, counted here, and the scores that were published.

    python benchmarks/models.py --results

Published: the paper (arXiv 2110.02178; Tables 1, 2 and 9), or where it prints nothing the later paper on separable
attention (arXiv 2206.02680, Table 4). Released: what the authors state beside the weights that they released. The last
model is of their later toolkit alone.
"""

import argparse
from dataclasses import dataclass

import record

from mobilevit.inspection import info


@dataclass(frozen=True)
class Published:
    """What the authors state."""

    image_size: int  # at which the score is, and at which multiply-adds are counted
    metric: str
    score: float | None  # of the paper
    released: float | None  # of the weights


TOP1, MAP, MIOU = "top-1, ImageNet-1k", "mAP, COCO", "mIoU, Pascal VOC"
PUBLISHED = {
    "mobilevit_xxs": Published(256, TOP1, 69.0, 69.0),
    "mobilevit_xs": Published(256, TOP1, 74.8, 74.7),
    "mobilevit_s": Published(256, TOP1, 78.4, 78.3),
    "ssdlite_mobilevit_xxs": Published(320, MAP, 19.9, 19.9),
    "ssdlite_mobilevit_xs": Published(320, MAP, 24.8, 24.8),
    "ssdlite_mobilevit_s": Published(320, MAP, 27.7, 27.9),
    "deeplabv3_mobilevit_xxs": Published(512, MIOU, 73.6, 72.8),
    "deeplabv3_mobilevit_xs": Published(512, MIOU, 77.1, 77.1),
    "deeplabv3_mobilevit_s": Published(512, MIOU, 79.1, 79.3),
    "deeplabv3_mobilevit_s_os8": Published(512, MIOU, None, 79.4),
}


def rows() -> list[record.Row]:
    """A row for each model."""
    return [_row(name, published) for name, published in PUBLISHED.items()]


def _row(name: str, published: Published) -> record.Row:
    counted = info(name, published.image_size)
    return {
        "model": name,
        "parameters": counted.parameters,
        "input_px": published.image_size,
        "multiply-adds_m": round(counted.macs.total / 1e6),
        "metric": published.metric,
        "published_percent": published.score,
        "released_percent": published.released,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", action="store_true", help="write benchmarks/results/models.json")
    options = parser.parse_args()
    found = rows()
    for row in found:
        print(*row.values(), sep=", ")
    if options.results:
        record.write("models", {"models": found})


if __name__ == "__main__":
    main()
