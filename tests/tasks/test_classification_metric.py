"""The scores of a classifier: against scikit-learn and the textbook, and the laws of gathering."""

import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mobilevit.errors import WeightsError
from mobilevit.spec import labels
from mobilevit.tasks.classification.metric import KEPT, ClassificationMetric
from mobilevit.tasks.classification.scores import ClassificationScores

Batch = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]  # probabilities, targets, indices


def draw_batch(samples: int, classes: int, seed: int = 0) -> Batch:
    """Outputs that are right more often than chance."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, samples)
    likely = np.exp(2 * rng.normal(size=(samples, classes)))
    likely[np.arange(samples), targets] *= np.exp(2)
    return (likely / likely.sum(axis=1, keepdims=True)).astype(np.float32), targets, np.arange(samples)


def gathered(batch: Batch, parts: Sequence[NDArray[np.int64]]) -> ClassificationMetric:
    probabilities, targets, indices = batch
    metric = ClassificationMetric(labels(f"class {k}" for k in range(probabilities.shape[1])))
    for part in parts:
        metric.update({"probabilities": probabilities[part]}, targets[part].tolist(), indices[part])
    return metric


def scored(batch: Batch) -> ClassificationScores:
    return gathered(batch, [np.arange(len(batch[1]))]).compute()


@pytest.mark.parametrize("classes", [2, 4, 12])
def test_agrees_with_scikit_learn(classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    probabilities, targets, _ = batch = draw_batch(300, classes)
    scores, predictions = scored(batch), probabilities.argmax(1)
    np.testing.assert_array_equal(scores.confusion, sklearn.confusion_matrix(targets, predictions))
    precision, recall, f1, count = sklearn.precision_recall_fscore_support(targets, predictions, zero_division=0)
    per_class = scores.per_class
    np.testing.assert_allclose([row.precision or 0.0 for row in per_class], precision)
    np.testing.assert_allclose([row.recall or 0.0 for row in per_class], recall)
    np.testing.assert_allclose([row.f1 or 0.0 for row in per_class], f1)
    assert [row.count for row in per_class] == count.tolist()
    assert scores.top1 == pytest.approx(sklearn.accuracy_score(targets, predictions))
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert scores.nll == pytest.approx(sklearn.log_loss(targets, exact), rel=1e-5)
    if classes > 5:
        top5 = sklearn.top_k_accuracy_score(targets, probabilities, k=5, labels=list(range(classes)))
        assert scores.top5 == pytest.approx(top5)
    assert scores.scalars()["mean_recall"] == pytest.approx(sklearn.balanced_accuracy_score(targets, predictions))


def test_a_small_confusion_matrix_by_hand() -> None:
    """Truth a a a b b, predicted a a b b c; class c is never there, and no class has all of it."""
    predicted = np.array([0, 0, 1, 1, 2])
    probabilities = np.full((5, 3), 0.1, np.float32)
    probabilities[np.arange(5), predicted] = 0.8
    scores = scored((probabilities, np.array([0, 0, 0, 1, 1]), np.arange(5)))
    assert scores.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    a, b, c = scores.per_class
    assert (a.precision, a.recall, a.f1) == pytest.approx((1.0, 2 / 3, 0.8))
    assert (b.precision, b.recall, b.f1) == pytest.approx((0.5, 0.5, 0.5))
    assert (c.count, c.predicted, c.precision, c.recall, c.f1) == (0, 1, 0.0, None, 0.0)
    assert scores.primary == ("top1", pytest.approx(0.6))
    assert scores.scalars()["mean_recall"] == pytest.approx((2 / 3 + 1 / 2) / 2), "of the classes that are there"
    header, *rows = scores.files()["confusion.csv"].splitlines()
    assert header.split(",")[1:] == ["class 0", "class 1", "class 2"]
    assert [row.split(",")[1:] for row in rows] == [["2", "1", "0"], ["0", "1", "1"], ["0", "0", "0"]]


def test_top_5_of_three_classes_is_certain() -> None:
    assert scored(draw_batch(20, 3)).top5 == 1.0


def test_calibration_by_the_textbook() -> None:
    """ECE = sum over bins of |B| / n * |accuracy(B) - confidence(B)|, 15 bins (low, high] (Guo et al. 2017)."""
    probabilities, targets, _ = batch = draw_batch(500, 4)
    scores = scored(batch)
    confidence, predictions = probabilities.max(1), probabilities.argmax(1)
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            accuracy = (predictions == targets)[inside].mean()
            expected += inside.mean() * abs(accuracy - confidence[inside].mean(dtype=np.float64))
            assert scores.calibration[number].accuracy == pytest.approx(float(accuracy))
        assert scores.calibration[number].count == int(inside.sum())
    assert scores.ece == pytest.approx(float(expected), abs=1e-6)


def test_one_who_is_as_sure_as_right_has_no_calibration_error() -> None:
    probabilities = np.array([[0.75, 0.25]] * 4, np.float32)
    assert scored((probabilities, np.array([0, 0, 0, 1]), np.arange(4))).ece == pytest.approx(0.0, abs=1e-7)


def test_certainty_lies_in_the_last_bin() -> None:
    scores = scored((np.array([[1.0, 0.0]], np.float32), np.array([1]), np.arange(1)))
    assert scores.calibration[-1].count == 1
    assert scores.ece == 1.0
    assert 80 < scores.nll < 90, "finite, though the true class had no probability at all"


@given(st.permutations(range(90)), st.lists(st.integers(0, 90), max_size=6), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_order_batches_processes_and_repetition_do_not_matter(order: list[int], cuts: list[int], again: int) -> None:
    batch = draw_batch(90, 7)
    whole = gathered(batch, [np.arange(90)])
    places = [part for part in np.split(np.array(order), sorted(cuts)) if len(part)]
    first, second = gathered(batch, places[::2]), gathered(batch, [*places[1::2], np.arange(again)])
    first.merge(pickle.loads(pickle.dumps(second)))
    assert first.compute().to_dict() == whole.compute().to_dict()
    for ours, theirs in ((first.worst(9), whole.worst(9)), (first.examples(9), whole.examples(9))):
        assert [index for index, _ in ours] == [index for index, _ in theirs]
        for (_, one), (_, other) in zip(ours, theirs, strict=True):
            assert np.array_equal(one["probabilities"], other["probabilities"])


def test_the_worst_are_wrong_and_the_most_wrong_come_first() -> None:
    probabilities, targets, _ = batch = draw_batch(400, 6)
    worst = gathered(batch, np.split(np.arange(400), range(32, 400, 32))).worst(10)
    wrong = np.flatnonzero(probabilities.argmax(1) != targets)
    truth = probabilities[wrong, targets[wrong]]
    assert [index for index, _ in worst] == wrong[truth.argsort()][:10].tolist()
    assert worst[0][1]["probabilities"].shape == (1, 6)


def test_examples_come_from_every_class() -> None:
    metric = gathered(draw_batch(400, 6), np.split(np.arange(400), range(32, 400, 32)))
    targets = draw_batch(400, 6)[1]
    examples = metric.examples(12)
    assert sorted(targets[[index for index, _ in examples]].tolist()) == sorted([*range(6)] * 2)
    assert len({index for index, _ in examples}) == 12
    assert len(metric.examples(10_000)) == KEPT


def test_a_thousand_classes_take_little_memory() -> None:
    metric = gathered(draw_batch(2000, 1000), np.split(np.arange(2000), 20))
    assert len(pickle.dumps(metric)) < 2000 * 50 + 2 * KEPT * 1000 * 5 + 100_000


def test_outputs_that_are_no_numbers_are_refused() -> None:
    metric = ClassificationMetric(labels("ab"))
    with pytest.raises(WeightsError, match="not finite"):
        metric.update({"probabilities": np.array([[np.nan, 0.0]], np.float32)}, [0], np.array([0]))
