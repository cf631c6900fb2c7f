"""A score that there was nothing to measure on is no 0, in every task."""

import json

import numpy as np
import pytest

from mobilevit import tasks
from mobilevit.models.table import for_task
from mobilevit.quantization.interval import paired_interval
from mobilevit.spec import ModelSpec, labels

TASKS = ("classification", "detection", "segmentation")


def spec(task: str, names: str) -> ModelSpec:
    return ModelSpec(for_task("mobilevit_xxs", task), task, labels(names))


@pytest.mark.parametrize("task", TASKS)
def test_nothing_at_all(task: str) -> None:
    scores = tasks.get(task).metric(spec(task, "abc")).compute()
    assert scores.primary[1] is None
    assert set(scores.scalars().values()) == {None}
    assert scores.plots() == {}
    assert json.loads(json.dumps(scores.to_dict()))[scores.primary[0]] is None
    assert scores.tables() is not None and scores.files() is not None


def test_a_draw_without_anything_to_measure_counts_for_nothing() -> None:
    from mobilevit.datasets.box_target import Boxes

    metric = tasks.get("detection").metric(spec("detection", "a"))
    box = np.array([[0, 0, 50, 50]], np.float32)
    outputs = {"boxes": box[None] / 100, "scores": np.full((1, 1, 1), 0.9, np.float32)}
    metric.update(outputs, [Boxes.of(box, [0], (100, 100))], np.array([0]))
    metric.update(outputs, [Boxes.of([], [], (100, 100))], np.array([1]))
    assert paired_interval(metric, metric, 2) == (0.0, 0.0)
