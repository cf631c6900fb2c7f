"""A trained model of each task, to be exported at a small size; changed ones, and how a file compares with them."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mobilevit import tasks
from mobilevit.exporting import parity
from mobilevit.exporting.parity import Parity
from mobilevit.exporting.views import views_of
from mobilevit.formats.running import ExportedRunner
from mobilevit.formats.table import open_exported
from mobilevit.formats.torch import TorchRunner
from mobilevit.loading.batch import prepare
from mobilevit.spec import ScoreThreshold
from mobilevit.tasks.base import LossOptions
from mobilevit.tasks.detection.crops import Seen
from mobilevit.tasks.program import Program
from mobilevit.weights.creating import create, load, spec_of

IMAGE_SIZE = 96  # a map of 3 x 3 in the last stage: the resize inside the block is part of what is compared
TASKS = ("classification", "detection", "segmentation")
SABOTAGE = ("weights", "channels", "scale")
STEPS = 40
THRESHOLD = ScoreThreshold(0.35, "f1", 0.5, 0.5, "squares", "val", 8)  # of the detector


def in_short(values: tuple[str, ...], *short: str) -> list[Any]:
    """All values as parameters: `short` are for `make test`, the others for `make test-system`."""
    return [value if value in short else pytest.param(value, marks=pytest.mark.system) for value in values]


@cache
def model_of(task: str) -> nn.Module:
    """The packaged classifier, or its backbone with a head that has learned to find squares; in evaluation mode."""
    if task == "classification":
        return load("imagenette")
    name = {"detection": "ssdlite_mobilevit_xxs", "segmentation": "deeplabv3_mobilevit_xxs"}[task]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create(name, num_classes=3, weights="imagenette").train()
        model.backbone.requires_grad_(False).eval()  # type: ignore[union-attr]
        _teach(model, task)
    if task == "detection":
        model.spec = replace(spec_of(model), score_threshold=THRESHOLD)  # type: ignore[assignment]
    return model.eval()


def _teach(model: nn.Module, task: str) -> None:
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    images, targets = squares(task, 8)
    for _ in range(STEPS):
        raw = model(prepare(images, spec_of(model).preprocessing.channel_order))
        loss = tasks.get(task).loss(raw, targets, LossOptions())
        optimizer.zero_grad()
        (loss.total / loss.count).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def squares(task: str, count: int, seed: int = 0) -> tuple[Tensor, Any]:
    """Images of a red or a blue square each, (count, 3, IMAGE_SIZE, IMAGE_SIZE) uint8, and the targets of the task."""
    rng, seen = np.random.default_rng(seed), []
    pixels = rng.normal(128, 20, (count, IMAGE_SIZE, IMAGE_SIZE, 3))
    for index, image in enumerate(pixels):
        side, color = int(rng.integers(30, 60)), index % 2
        left, top = rng.integers(0, IMAGE_SIZE - side, 2).tolist()
        place = np.s_[top : top + side, left : left + side]
        image[place] = [(220, 30, 30), (30, 30, 220)][color]
        mask = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
        mask[place] = 1 + color
        box = np.array([[left, top, left + side, top + side]], np.float32) / IMAGE_SIZE
        seen.append({"detection": Seen(box, np.array([color])), "segmentation": mask}[task])
    images = torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)
    return images.contiguous(), tasks.get(task).collate(seen)


def sabotaged(task: str, kind: str) -> nn.Module:
    """The model, changed in one way."""
    model = copy.deepcopy(model_of(task))
    stem = cast(Tensor, model.backbone.stem.conv.weight)
    if kind == "channels":
        stem.data = stem.data.flip(1)
    elif kind == "scale":
        stem.data /= 255  # as where an image is scaled twice
    else:
        model.backbone.stages[3][1].project_out.conv.weight.data *= 1.5
    return model


def compared(exported: Path, model: nn.Module, photos: Path) -> Parity:
    """What the parity check finds of an exported file beside a model, whether it was made of it or not."""
    runner = cast(ExportedRunner, open_exported(exported))
    task = tasks.get(runner.spec.task)
    reference = TorchRunner(Program(model, runner.spec, task), runner.spec, torch.device("cpu"))
    (views,) = views_of(photos, [runner.spec.preprocessing])
    return parity.compare(runner, reference, views, task)
