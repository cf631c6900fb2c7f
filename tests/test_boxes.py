"""Boxes: laws of IoU and of the coding, in NumPy and on the device alike, and suppression against the textbook loop."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mobilevit import boxes
from mobilevit.tasks.detection import box_tensors

side = st.integers(0, 12)
# whole numbers on a small grid: many overlaps, equal boxes, empty boxes, IoUs of exactly 1/2 and 1/3
box = st.tuples(side, side, side, side).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


def array(values: list[tuple[int, ...]]) -> NDArray[np.float32]:
    return np.array(values, np.float32).reshape(-1, 4)


def plain_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The definition, for two boxes."""
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / union if union else 0.0


@settings(deadline=None)
@given(st.lists(box, max_size=6), st.lists(box, max_size=6))
def test_iou_is_its_definition(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    expected = np.array([[plain_iou(a, b) for b in second] for a in first]).reshape(len(first), len(second))
    found = boxes.iou(array(first), array(second))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(boxes.iou(array(second), array(first)), found.T)


def corners_and_places(dtype: type) -> st.SearchStrategy[NDArray[np.floating]]:
    """(2, 5, 4) of any values that a model might say, empty and turned boxes among them."""
    return hnp.arrays(dtype, (2, 5, 4), elements=st.floats(-4, 4, width=32))


@settings(deadline=None)
@given(st.sampled_from([np.float32, np.float64]).flatmap(corners_and_places))
def test_arrays_and_tensors_give_the_same(values: NDArray[np.floating]) -> None:
    """Behind an exported model and in training: bit for bit, but for the exponential."""
    a, b = values
    tensors = torch.from_numpy(a), torch.from_numpy(b)
    np.testing.assert_array_equal(boxes.iou(a, b), box_tensors.iou(*tensors).numpy())
    np.testing.assert_array_equal(boxes.corners(a), box_tensors.corners(tensors[0]).numpy())
    np.testing.assert_allclose(boxes.decode(a, b), box_tensors.decode(*tensors).numpy(), rtol=1e-6, atol=1e-6)


def test_iou_of_batches_is_that_of_each() -> None:
    random = np.random.default_rng(0)
    a, b = (boxes.corners(random.random((3, n, 4))) for n in (5, 7))
    np.testing.assert_array_equal(boxes.iou(a, b), [boxes.iou(x, y) for x, y in zip(a, b, strict=True)])
    np.testing.assert_array_equal(boxes.iou(a, b[0]), [boxes.iou(x, b[0]) for x in a])  # (3, 5, 4), (7, 4)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_decode_undoes_encode_and_centers_undo_corners(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    wanted, anchors = (0.05 + torch.rand(2, 9, 4, generator=random, dtype=torch.float64) for _ in range(2))
    wanted = box_tensors.corners(wanted)
    coded = box_tensors.encode(wanted, anchors)
    torch.testing.assert_close(box_tensors.decode(coded, anchors), wanted)
    np.testing.assert_allclose(boxes.decode(coded.numpy(), anchors.numpy()), wanted, rtol=1e-7)
    torch.testing.assert_close(box_tensors.corners(box_tensors.centers(wanted)), wanted)


def test_the_code_of_a_box() -> None:
    """t = (center - anchor's) / anchor's side / 0.1 and log(side / anchor's) / 0.2 (official code)."""
    anchor = torch.tensor([[0.5, 0.5, 0.2, 0.4]])
    shifted_and_grown = torch.tensor([[0.44, 0.2, 0.64, 1.0]])  # center 0.54, 0.6; sides 0.2, 0.8
    expected = torch.tensor([[2.0, 2.5, 0.0, 5 * torch.tensor(2.0).log()]])
    torch.testing.assert_close(box_tensors.encode(shifted_and_grown, anchor), expected)
    torch.testing.assert_close(box_tensors.decode(torch.zeros(1, 4), anchor), torch.tensor([[0.4, 0.3, 0.6, 0.7]]))


def textbook(found: list[tuple[int, ...]], scores: list[float], labels: list[int], threshold: float) -> list[int]:
    """Class by class: take the best that is left, drop what overlaps it; then all that were taken, the best first."""
    taken: list[int] = []
    for label in set(labels):
        left = sorted((i for i, other in enumerate(labels) if other == label), key=lambda i: (-scores[i], i))
        while left:
            best = left.pop(0)
            taken.append(best)
            left = [i for i in left if plain_iou(found[best], found[i]) <= threshold]
    return sorted(taken, key=lambda i: (-scores[i], i))


@settings(max_examples=300, deadline=None)
@given(
    # scores in tenths are often equal; of a third and a half the comparison is exact in either precision
    found=st.lists(st.tuples(box, st.integers(0, 10), st.integers(-2, 3)), max_size=40),
    threshold=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_nms_is_the_textbook_loop(found: list[tuple[tuple[int, ...], int, int]], threshold: float) -> None:
    places, scores, labels = [list(column) for column in zip(*found, strict=True)] or [[], [], []]
    scores = [score / 10 for score in scores]
    kept = boxes.nms(array(places), np.array(scores, np.float32), np.array(labels, np.int64), threshold)
    assert kept.tolist() == textbook(places, scores, labels, threshold)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 12), spread=st.floats(0.01, 1.0))
def test_nms_of_many_boxes_is_the_textbook_loop(seed: int, classes: int, spread: float) -> None:
    """Classes larger than a block, of very different sizes, in heaps and scattered."""
    random = np.random.default_rng(seed)
    labels = (classes * random.random(400) ** 3).astype(np.int64)
    centers, sizes = spread * random.random((400, 2)), 0.02 + 0.1 * random.random((400, 2))
    places, scores = boxes.corners(np.concatenate([centers, sizes], axis=1)), random.random(400)
    kept = boxes.nms(places, scores, labels, 0.45)
    assert kept.tolist() == textbook(places.tolist(), scores.tolist(), labels.tolist(), 0.45)


def test_a_chain_in_which_each_box_overlaps_the_next() -> None:
    """Every second one stays: what settles last depends on all before it."""
    starts = np.arange(300.0)
    places = np.stack([starts, np.zeros(300), starts + 2.5, np.ones(300)], axis=1)  # IoU 1.5 / 3.5, then 0.5 / 4.5
    kept = boxes.nms(places, -starts, np.zeros(300, np.int64), 0.3)
    assert kept.tolist() == [*range(0, 300, 2)]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_nms_in_other_precisions(dtype: type) -> None:
    places = array([(0, 0, 100, 100), (1, 1, 100, 100), (200, 0, 300, 100)]).astype(dtype)
    assert boxes.nms(places, np.array([0.5, 0.75, 0.25], dtype), np.zeros(3, np.int64), 0.5).tolist() == [1, 2]


def test_boxes_that_are_not_finite_take_nothing_away() -> None:
    places = np.array([[np.nan] * 4, [0, 0, np.inf, 1], [0, 0, 1, 1]], np.float32)
    assert boxes.nms(places, np.array([0.9, 0.8, 0.7]), np.zeros(3, np.int64), 0.5).tolist() == [0, 1, 2]
