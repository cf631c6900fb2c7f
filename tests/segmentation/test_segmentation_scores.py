"""Scores against a plain reference, at the size of each mask, however the images are divided."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilevit.spec import ModelSpec, labels
from mobilevit.tasks.segmentation import maps
from mobilevit.tasks.segmentation.metric import KEPT, SegmentationMetric
from mobilevit.tasks.segmentation.task import SegmentationTask

CLASSES = labels(["background", "cat", "dog", "never"])


def random_images(seed: int, count: int = 5) -> tuple[np.ndarray, list[np.ndarray]]:
    """Class maps (B, 12, 12) and masks of all sizes; the last class is never there."""
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, 3, (count, 12, 12), dtype=np.int32)
    masks = []
    for _ in range(count):
        mask = rng.integers(0, 3, rng.integers(3, 40, 2)).astype(np.uint8)
        mask[rng.random(mask.shape) < 0.2] = 255
        masks.append(mask)
    return maps, masks


def measured(maps: np.ndarray, masks: list[np.ndarray], indices: range | None = None) -> SegmentationMetric:
    metric = SegmentationTask().metric(ModelSpec("deeplabv3_mobilevit_xxs", "segmentation", CLASSES))
    order = np.arange(len(masks)) if indices is None else np.array(indices)
    metric.update({"class_map": maps}, masks, order)
    return metric


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_scores_are_the_textbooks(seed: int) -> None:
    """Pixel by pixel: each takes the class that its center falls upon, and sets are counted one by one."""
    small, masks = random_images(seed)
    predicted, true = [], []
    for coarse, mask in zip(small.tolist(), masks, strict=True):
        height, width = mask.shape
        for y, x in np.ndindex(height, width):
            if mask[y, x] != 255:
                predicted.append(coarse[(2 * y + 1) * 12 // (2 * height)][(2 * x + 1) * 12 // (2 * width)])
                true.append(int(mask[y, x]))
    pairs = list(zip(predicted, true, strict=True))
    ious = []
    for k in range(3):
        both = sum(p == k and t == k for p, t in pairs)
        either = sum(p == k or t == k for p, t in pairs)
        if either:
            ious.append(both / either)
    scores = measured(small, masks).compute()
    assert scores.miou == pytest.approx(sum(ious) / len(ious))
    assert scores.scalars()["pixel_accuracy"] == pytest.approx(sum(p == t for p, t in pairs) / len(pairs))
    assert scores.primary == ("miou", scores.miou)
    assert scores.per_class[3].iou is None


def test_a_perfect_segmenter() -> None:
    """Ignored pixels cost nothing, whatever is predicted there; classes that are nowhere do not count."""
    truth = np.array([[0, 0, 1, 1], [0, 255, 1, 255]], np.uint8)
    guess = np.array([[[0, 0, 1, 1], [0, 2, 1, 3]]])
    metric = measured(guess, [truth])
    scores = metric.compute()
    assert scores.scalars() == {"miou": 1.0, "pixel_accuracy": 1.0, "mean_accuracy": 1.0}
    assert metric.worst(9) == []
    assert len(metric.examples(9)) == 1
    assert [row["class"] for row in scores.tables()["Classes"]] == ["background", "cat"]


def test_nothing_but_ignored_pixels() -> None:
    scores = measured(np.zeros((1, 4, 4), np.int32), [np.full((5, 5), 255, np.uint8)]).compute()
    assert scores.scalars() == {"miou": None, "pixel_accuracy": None, "mean_accuracy": None}
    assert scores.primary == ("miou", None)
    assert scores.plots() == {}


def test_parts_that_are_merged_are_the_whole() -> None:
    small, masks = random_images(3, count=100)
    whole = measured(small, masks)
    parts = [measured(small[i::3], masks[i::3], range(i, 100, 3)) for i in range(3)]
    for other in parts[1:]:
        parts[0].merge(other)
    np.testing.assert_array_equal(parts[0].compute().confusion, whole.compute().confusion)
    assert parts[0].compute().images == 100
    for chosen in ("worst", "examples"):
        one, two = (getattr(metric, chosen)(1000) for metric in (parts[0], whole))
        assert [index for index, _ in one] == [index for index, _ in two]
        assert len(one) == KEPT


def test_the_worst_come_first_and_keep_their_maps() -> None:
    truth = np.zeros((8, 8), np.uint8)
    small = np.zeros((3, 8, 8), np.int32)
    small[1, :4] = 1
    small[2, :2] = 1
    worst = measured(small, [truth] * 3).worst(5)
    assert [index for index, _ in worst] == [1, 2]
    np.testing.assert_array_equal(worst[0][1]["class_map"], small[1:2])


def test_scores_for_machines_and_people() -> None:
    small, masks = random_images(1)
    scores = measured(small, masks).compute()
    plain = json.loads(json.dumps(scores.to_dict()))
    assert plain["pixels"] == sum(int((mask != 255).sum()) for mask in masks)
    assert [row["id"] for row in plain["classes"]] == ["background", "cat", "dog"]
    assert scores.files()["confusion.csv"].splitlines()[0] == "truth \\ prediction,background,cat,dog"
    assert list(scores.plots()) == ["IoU", "Confusion"]


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 2**31),
)
def test_nearest_is_pillows_and_areas_are_its_counts(shape: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    classes = np.random.default_rng(seed).integers(0, 5, shape, dtype=np.uint8)
    grown = maps.resized(classes, size)
    pillows = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST))
    # Where a center falls upon an edge, the floats of Pillow may say otherwise.
    if not any((2 * i + 1) * a % (2 * b) == 0 for a, b in zip(shape, size[::-1], strict=True) for i in range(b)):
        np.testing.assert_array_equal(grown, pillows)
    np.testing.assert_array_equal(maps.areas(classes, size, 5), np.bincount(grown.ravel(), minlength=5))
