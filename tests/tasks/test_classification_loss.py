"""The loss: the paper's formula, and the laws that make any split of a batch give the gradient of the whole."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilevit.tasks.classification.loss import cross_entropy


def batch(samples: int = 12, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, classes, generator=rng, dtype=torch.float64)
    return logits, torch.randint(0, classes, (samples,), generator=rng)


@given(st.integers(1, 20), st.integers(2, 30), st.floats(0, 0.9), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_is_the_formula_of_the_official_code(samples: int, classes: int, smoothing: float, seed: int) -> None:
    logits, targets = batch(samples, classes, seed)
    minus_log_p = -logits.log_softmax(1)
    nll = minus_log_p[torch.arange(samples), targets]
    expected = ((1 - smoothing) * nll + smoothing / classes * minus_log_p.sum(1)).sum()
    loss = cross_entropy(logits, targets, label_smoothing=smoothing, class_weights=None)
    torch.testing.assert_close(loss.total, expected)
    assert loss.count == samples


@given(st.integers(1, 11))
@settings(max_examples=11, deadline=None)
def test_parts_add_up_to_the_whole(cut: int) -> None:
    logits, targets = batch()
    weights = torch.tensor([0.5, 1.0, 2.0, 1.0, 0.5])
    whole = cross_entropy(logits, targets, label_smoothing=0.1, class_weights=weights)
    parts = [
        cross_entropy(logits[part], targets[part], label_smoothing=0.1, class_weights=weights)
        for part in (slice(cut), slice(cut, None))
    ]
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    torch.testing.assert_close(sum(part.count for part in parts), whole.count)


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 1.0, 2.0, 1.0, 0.5])])
def test_shares_of_one_class_are_that_class(weights: torch.Tensor | None) -> None:
    logits, targets = batch()
    hard = cross_entropy(logits, targets, label_smoothing=0.1, class_weights=weights)
    soft = cross_entropy(logits, F.one_hot(targets, 5).double(), label_smoothing=0.1, class_weights=weights)
    torch.testing.assert_close(soft.total, hard.total)
    torch.testing.assert_close(soft.count, hard.count)


def test_a_class_of_weight_two_counts_as_two_samples() -> None:
    logits, targets = batch()
    twice = targets == 3
    weights = torch.ones(5).index_fill(0, torch.tensor(3), 2.0)
    weighted = cross_entropy(logits, targets, label_smoothing=0.1, class_weights=weights)
    logits, targets = torch.cat([logits, logits[twice]]), torch.cat([targets, targets[twice]])
    repeated = cross_entropy(logits, targets, label_smoothing=0.1, class_weights=None)
    torch.testing.assert_close(weighted.total, repeated.total)
    torch.testing.assert_close(weighted.count, repeated.count.to(weighted.count))


def test_half_precision_is_raised_before_the_sum() -> None:
    loss = cross_entropy(
        torch.full((4, 1000), 60.0, dtype=torch.float16),
        torch.zeros(4, dtype=torch.int64),
        label_smoothing=0.1,
        class_weights=None,
    )
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, 4 * torch.tensor(1000.0).log())
