"""Scores of resampled images, of every task, and the interval that they give."""

from collections.abc import Callable

import numpy as np
import pytest

from mobilevit import tasks
from mobilevit.datasets.box_target import Boxes
from mobilevit.models.table import for_task
from mobilevit.quantization.interval import paired_interval
from mobilevit.spec import ModelSpec, labels
from mobilevit.tasks.base import Metric, Outputs

CLASSES = labels(["cat", "dog", "owl"])
Sample = tuple[Outputs, object]  # of one image: the model's outputs and the truth


def classified(rng: np.random.Generator) -> Sample:
    return {"probabilities": rng.dirichlet([1, 1, 1]).astype(np.float32)[None]}, int(rng.integers(3))


def detected(rng: np.random.Generator) -> Sample:
    corner = rng.uniform(0, 50, (2, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(20, 50, (2, 2))], axis=1).astype(np.float32)
    found = (boxes / 100 + rng.normal(0, 0.02, (2, 4)).astype(np.float32)).clip(0, 1)[None]
    scores = rng.uniform(0.02, 1, (1, 2, 3)).astype(np.float32)
    return {"boxes": found, "scores": scores}, Boxes.of(boxes, rng.integers(0, 3, 2), (100, 100))


def segmented(rng: np.random.Generator) -> Sample:
    class_map = rng.integers(0, 3, (1, 8, 8), dtype=np.int32)
    return {"class_map": class_map}, rng.integers(0, 3, (16, 16)).astype(np.uint8)


SAMPLES = {"classification": classified, "detection": detected, "segmentation": segmented}


def spec_of(task: str) -> ModelSpec:
    return ModelSpec(for_task("mobilevit_xxs", task), task, CLASSES)


def metric_of(task: str, samples: list[Sample], order: list[int]) -> Metric:
    metric = tasks.get(task).metric(spec_of(task))
    for index in order:
        outputs, truth = samples[index]
        metric.update(outputs, [truth], np.array([index]))
    return metric


@pytest.mark.parametrize(("task", "made"), SAMPLES.items())
def test_a_sample_counts_as_often_as_it_is_drawn(task: str, made: Callable[[np.random.Generator], Sample]) -> None:
    """As if each had been another image; and the order in which they came does not matter."""
    rng = np.random.default_rng(0)
    samples = [made(rng) for _ in range(6)]
    metric = metric_of(task, samples, [3, 0, 5, 1, 2, 4])
    assert metric.resampled(np.arange(6)).scalars() == pytest.approx(metric.compute().scalars())
    drawn = [5, 0, 0, 3, 5, 5]
    expected = metric_of(task, [samples[place] for place in drawn], list(range(6))).compute()
    assert metric.resampled(np.array(drawn)).scalars() == pytest.approx(expected.scalars())


def right(answers: list[bool]) -> Metric:
    """A classifier that is right where it says."""
    metric = tasks.get("classification").metric(spec_of("classification"))
    chances = np.array([[0.8, 0.1, 0.1] if answer else [0.1, 0.8, 0.1] for answer in answers], np.float32)
    metric.update({"probabilities": chances}, [0] * len(answers), np.arange(len(answers)))
    return metric


def test_the_interval_is_that_of_paired_differences() -> None:
    """Of 400 images one is wrong in 40 and the other in 20 others: as the normal distribution has it."""
    mine, theirs = [index >= 40 for index in range(400)], [not 40 <= index < 60 for index in range(400)]
    low, high = paired_interval(right(mine), right(theirs), 400)
    differences = np.array(mine, float) - np.array(theirs, float)
    middle, half = differences.mean(), 1.96 * differences.std() / 20
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.006)


def test_what_is_always_the_same_has_no_width() -> None:
    answers = [bool(index % 3) for index in range(50)]
    assert paired_interval(right(answers), right(answers), 50) == (0.0, 0.0)
