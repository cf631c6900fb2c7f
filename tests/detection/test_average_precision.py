"""The scores of a detector: what a textbook says, however the images were divided and ordered."""

import json
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilevit.boxes import iou
from mobilevit.datasets.box_target import Boxes
from mobilevit.errors import WeightsError
from mobilevit.spec import labels
from mobilevit.tasks.base import Outputs
from mobilevit.tasks.detection.metric import DetectionMetric
from mobilevit.tasks.detection.result import IOU_THRESHOLD, SCORE_THRESHOLD
from mobilevit.tasks.detection.scores import DetectionScores

CLASSES = labels(["cat", "dog", "owl"])
SIZE = (400, 200)
Found = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]  # boxes in pixels, labels, scores


def outputs_of(found: Found) -> Outputs:
    """Of a model that has one anchor for each box."""
    boxes, classes, sure = found
    scores = np.zeros((1, len(boxes), len(CLASSES)), np.float32)
    scores[0, np.arange(len(boxes)), classes] = sure
    return {"boxes": boxes[None] / np.array(SIZE * 2, np.float32), "scores": scores}


def metric_of(images: Sequence[tuple[Boxes, Found]], indices: Sequence[int] | None = None) -> DetectionMetric:
    metric = DetectionMetric(CLASSES)
    for index in range(len(images)) if indices is None else indices:
        truth, found = images[index]
        metric.update(outputs_of(found), [truth], np.array([index]))
    return metric


def a_dataset(seed: int, images: int, *, shift: float, missing: float = 0.2, doubtful: int = 2) -> list:
    """Objects on a grid, which do not overlap; boxes shifted by as much of their side at most, some missing and some
    where nothing is."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(images):
        cells = rng.permutation(32)[: rng.integers(0, 9)]
        corner = np.column_stack([cells % 8, cells // 8]) * 50.0
        sides = rng.uniform(15, 45, (len(cells), 2))
        truth = np.concatenate([corner, corner + sides], axis=1).astype(np.float32)
        classes = rng.integers(0, 2, len(cells))  # there is no owl
        moved = truth + np.tile(rng.uniform(-shift, shift, (len(cells), 2)) * sides, 2)
        stays = rng.random(len(cells)) >= missing
        place = rng.uniform(0, 0.9, (doubtful, 2)) * SIZE
        extra = np.concatenate([place, place + 0.1 * np.array(SIZE)], axis=1)
        boxes = np.concatenate([moved[stays], extra]).clip(0, np.array(SIZE * 2)).astype(np.float32)
        guesses = np.concatenate([classes[stays], rng.integers(0, 3, doubtful)])
        made.append((Boxes.of(truth, classes, SIZE), (boxes, guesses, rng.uniform(0.02, 1, len(boxes)).astype("f4"))))
    return made


def textbook(images: Sequence[tuple[Boxes, Found]], label: int, threshold: float) -> float | None:
    """Average precision by the 101-point rule: the mean, over recalls of 0, 0.01, ..., 1, of the best precision that
    is reached with that recall or more."""
    total = sum(int((truth.labels == label).sum()) for truth, _ in images)
    if not total:
        return None
    verdicts: list[tuple[float, bool]] = []
    for truth, (boxes, classes, sure) in images:
        free = [box for box, k in zip(truth.boxes, truth.labels, strict=True) if k == label]
        for place in np.argsort(-sure):
            if classes[place] != label:
                continue
            overlaps = iou(boxes[[place]], np.array(free, np.float32).reshape(-1, 4))[0].tolist()
            best = max(range(len(free)), key=lambda other: overlaps[other], default=-1)
            right = best >= 0 and overlaps[best] >= threshold
            if right:
                del free[best]
            verdicts.append((float(sure[place]), right))
    verdicts.sort(key=lambda verdict: -verdict[0])
    rights = np.cumsum([right for _, right in verdicts])
    precision, recall = rights / np.arange(1, len(rights) + 1), rights / total
    return float(np.mean([max(precision[recall >= at], default=0.0) for at in np.linspace(0, 1, 101)]))


@given(seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 0.1, 0.3]))
@settings(deadline=None, max_examples=10)
def test_average_precision_is_the_textbook_s(seed: int, shift: float) -> None:
    images = a_dataset(seed, 5, shift=shift)
    kept = [(truth, _without_doubles(found)) for truth, found in images]
    scores = metric_of(images).compute()
    thresholds = np.linspace(0.5, 0.95, 10)
    for label, row in enumerate(scores.per_class):
        expected = [textbook(kept, label, threshold) for threshold in thresholds]
        if expected[0] is None:
            assert row.ap is row.ap50 is row.ap75 is None
        else:
            assert row.ap50 == pytest.approx(expected[0], abs=1e-6)
            assert row.ap75 == pytest.approx(expected[5], abs=1e-6)
            assert row.ap == pytest.approx(np.mean(expected), abs=1e-6)


def _without_doubles(found: Found) -> Found:
    """What greedy non-maximum suppression leaves."""
    boxes, classes, sure = found
    kept: list[int] = []
    for place in np.argsort(-sure):
        rivals = [other for other in kept if classes[other] == classes[place]]
        overlaps = iou(boxes[[place]], boxes[rivals].reshape(-1, 4))
        if not (overlaps > IOU_THRESHOLD).any():
            kept.append(place)
    return boxes[kept], classes[kept], sure[kept]


def perfect(images: Sequence[tuple[Boxes, Found]]) -> list[tuple[Boxes, Found]]:
    return [(truth, (truth.boxes, truth.labels, np.full(len(truth), 0.9, np.float32))) for truth, _ in images]


def test_a_perfect_detector_has_one() -> None:
    metric = metric_of(perfect(a_dataset(0, 12, shift=0)))
    scores = metric.compute()
    assert scores.primary == ("map", pytest.approx(1.0))
    assert scores.scalars()["map50"] == pytest.approx(1.0)
    assert scores.scalars()["recall100"] == pytest.approx(1.0)
    assert [row.best_score for row in scores.per_class if row.count] == pytest.approx([0.9, 0.9])
    assert not metric.worst(10)


def test_a_detector_that_finds_nothing_has_zero() -> None:
    nothing = np.empty((0, 4), np.float32), np.empty(0, np.int64), np.empty(0, np.float32)
    images = [(truth, nothing) for truth, _ in a_dataset(1, 6, shift=0)]
    scores = metric_of(images).compute()
    assert scores.primary == ("map", 0.0)
    assert sum(row.missed for row in scores.mistakes) == sum(row.count for row in scores.per_class) > 0


def test_images_without_any_object_can_be_scored() -> None:
    images = [(Boxes.of([], [], SIZE), found) for _, found in a_dataset(1, 3, shift=0)]
    scores = metric_of(images).compute()
    assert scores.primary == ("map", None)
    assert set(scores.scalars().values()) == {None}
    assert {row.ap for row in scores.per_class} == {None}
    assert scores.plots() == {}
    assert sum(row.false for row in scores.mistakes) > 0


def said(scores: DetectionScores) -> str:
    return json.dumps([scores.to_dict(), scores.tables(), scores.files()])


@given(seed=st.integers(0, 10**6), parts=st.integers(1, 3))
@settings(deadline=None, max_examples=8)
def test_parts_joined_say_what_the_whole_says(seed: int, parts: int) -> None:
    images = a_dataset(seed, 7, shift=0.2)
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    joined = DetectionMetric(CLASSES)
    for part in range(parts):
        shared = [*order[part::parts], order[0]]  # as where a sampler pads: one image is in every part
        joined.merge(pickle.loads(pickle.dumps(metric_of(images, shared))))
    whole = metric_of(images)
    assert said(joined.compute()) == said(whole.compute())
    assert [index for index, _ in joined.worst(5)] == [index for index, _ in whole.worst(5)]
    assert [index for index, _ in joined.examples(5)] == [index for index, _ in whole.examples(5)]


def test_crowds_count_neither_for_nor_against() -> None:
    truth = Boxes.of([(0, 0, 40, 40), (100, 0, 300, 100)], [0, 0], SIZE, [False, True])
    boxes = np.array([(0, 0, 40, 40), (110, 10, 150, 40), (200, 10, 240, 60)], np.float32)
    found = boxes, np.zeros(3, np.int64), np.array([0.5, 0.8, 0.9], np.float32)
    metric = metric_of([(truth, found)])
    scores = metric.compute()
    assert scores.per_class[0].count == 1
    assert scores.per_class[0].ap == pytest.approx(1.0)
    assert scores.mistakes[0].false == scores.mistakes[0].missed == 0
    assert not metric.worst(5)


def test_sizes_are_those_of_coco() -> None:
    """32 and 96 pixels square divide small from medium and medium from large; what lacks has no score."""
    truth = Boxes.of([(0, 0, 30, 30), (100, 0, 150, 50)], [0, 1], SIZE)
    found = truth.boxes[1:], truth.labels[1:], np.array([0.9], np.float32)
    scalars = metric_of([(truth, found)]).compute().scalars()
    assert scalars["map_small"] == 0
    assert scalars["map_medium"] == pytest.approx(1.0)
    assert "map_large" not in scalars


def test_what_is_kept_decodes_to_what_was_found() -> None:
    images = a_dataset(3, 20, shift=0.2)
    metric = metric_of(images)
    worst = metric.worst(4)
    errors = [metric._records[index].told(SCORE_THRESHOLD).errors for index, _ in worst]
    assert (
        errors == sorted((record.told(SCORE_THRESHOLD).errors for record in metric._records.values()), reverse=True)[:4]
    )
    for index, outputs in [*worst, *metric.examples(4)]:
        again = DetectionMetric(CLASSES)
        again.update(outputs, [images[index][0]], np.array([index]))
        first, second = metric._records[index], again._records[index]
        np.testing.assert_allclose(second.boxes, first.boxes, atol=1e-3)
        np.testing.assert_array_equal(second.labels, first.labels)
        np.testing.assert_array_equal(second.scores, first.scores)
    assert len({index for index, _ in metric.examples(10)}) == 10


def test_a_batch_says_what_single_images_say() -> None:
    images = [image for image in a_dataset(5, 9, shift=0.2) if len(image[1][0]) >= 2][:3]
    padded = [tuple(part[:2] for part in found) for _, found in images]
    batch = [outputs_of(found) for found in padded]
    joined = {name: np.concatenate([each[name] for each in batch]) for name in batch[0]}
    metric = DetectionMetric(CLASSES)
    metric.update(joined, [truth for truth, _ in images], np.arange(3))
    single = metric_of([(truth, found) for (truth, _), found in zip(images, padded, strict=True)])
    assert said(metric.compute()) == said(single.compute())


def test_broken_outputs_are_refused() -> None:
    broken = {"boxes": np.zeros((1, 2, 4)), "scores": np.full((1, 2, 3), np.nan)}
    with pytest.raises(WeightsError, match="not finite"):
        DetectionMetric(CLASSES).update(broken, [Boxes.of([], [], SIZE)], np.array([0]))


def test_machines_get_coco_files() -> None:
    scores = metric_of(a_dataset(2, 3, shift=0)).compute()
    files = scores.files()
    truth, found = json.loads(files["truth.json"]), json.loads(files["detections.json"])
    assert [category["name"] for category in truth["categories"]] == ["cat", "dog", "owl"]
    assert {row["image_id"] for row in found} <= {row["id"] for row in truth["images"]} == {0, 1, 2}
    assert all(row["category_id"] in (1, 2, 3) for row in [*truth["annotations"], *found])
