"""How high do a detector's scores lie where nothing is? Why the threshold is each model's own (docs/evaluation.md).

    python benchmarks/anchor_scores.py --write scenes
    mobilevit train scenes --model ssdlite_mobilevit_xxs --weights imagenette --anchors data --epochs 4 --patience 0 \\
        --image-size 160 --image-size-min 160 --image-size-max 160 --batch-size 16 --no-flip --crop-area-min 0.3 \\
        --crop-ratio-max 1.5 --name scenes
    python benchmarks/anchor_scores.py --model runs/scenes/best.safetensors --data scenes

The scenes are those of `mobilevit demo --task detection`, but every digit is of one class: 480 to learn from, 120 of
val. The score of an anchor is one less its background's. "Hardest" are the three to each anchor with an object that the
loss shows, as in SSD; the others have no gradient.

What was measured: docs/benchmarks.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import record
import torch
import tyro

from mobilevit.datasets.options import ReadOptions
from mobilevit.digit_scenes import write_boxes
from mobilevit.loading.batch import prepare
from mobilevit.loading.loader import ImageDataset, eval_loader
from mobilevit.tasks.detection.crops import Seen
from mobilevit.tasks.detection.loss import NEGATIVES
from mobilevit.tasks.detection.matching import collate, match
from mobilevit.tasks.detection.task import DetectionTask
from mobilevit.weights.creating import load, spec_of


@dataclass(frozen=True)
class Options:
    """Write the scenes, or look at the scores of a model's anchors on them."""

    write: Path | None = None  # folder for the scenes
    model: Path | None = None  # a detector's file
    data: Path | None = None  # its dataset
    images: int = 60  # of val
    results: bool = False  # write benchmarks/results/anchor_scores.json too


def main(options: Options) -> None:
    if options.write is not None:
        write_scenes(options.write)
    if options.model is not None and options.data is not None:
        rows: list[record.Row] = [
            {
                "trained": options.model.parent.name,
                "anchors": name,
                "median": round(float(np.median(scores)), 3),
                "above_0.3_percent": round(100 * float((scores > 0.3).mean()), 1),
            }
            for name, scores in anchor_scores(options.model, options.data, options.images).items()
        ]
        record.print_rows(rows)
        if options.results:
            record.write("anchor_scores", {"anchors": rows})


def write_scenes(folder: Path) -> None:
    """The demo's scenes with one class for all digits."""
    write_boxes(folder)
    for path in folder.rglob("*.json"):
        known = json.loads(path.read_text())
        boxes = [box | {"category_id": 1} for box in known["annotations"]]
        path.write_text(json.dumps(known | {"categories": [{"id": 1, "name": "digit"}], "annotations": boxes}))


@torch.no_grad()
def anchor_scores(model: Path, data: Path, images: int) -> dict[str, np.ndarray]:
    """One less the background's probability, of all anchors by what they are."""
    loaded, task = load(model), DetectionTask()
    how, samples = spec_of(loaded).preprocessing, task.read(data, ReadOptions()).splits["val"][:images]
    found: dict[str, list[torch.Tensor]] = {"with an object": [], "without, all": [], "without, hardest": []}
    for batch in eval_loader(ImageDataset(samples, task, seed=0, augment=None, preprocessing=how), 20, 0, 0, 1):
        raw = loaded(prepare(batch.images, how.channel_order))
        seen = [Seen(truth.boxes / np.array(truth.size * 2, np.float32), truth.labels) for truth in batch.targets]
        there = match(collate(seen), raw.anchors) >= 0
        for scores, positive in zip(1 - raw.scores.softmax(2)[..., 0], there, strict=True):
            others = scores[~positive].sort(descending=True).values
            found["with an object"].append(scores[positive])
            found["without, all"].append(others)
            found["without, hardest"].append(others[: NEGATIVES * max(1, int(positive.sum()))])
    return {name: torch.cat(parts).numpy() for name, parts in found.items()}


if __name__ == "__main__":
    main(tyro.cli(Options))
