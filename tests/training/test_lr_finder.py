"""The rate finder: a rate where the loss falls, and none where noise alone falls."""

import numpy as np
import pytest

from mobilevit.errors import UsageError
from mobilevit.training.config import TrainConfig
from mobilevit.training.lr_finder import SMOOTHING, LrCurve, LrSearch, find_lr

STEPS = 100
RATES = np.geomspace(1e-6, 1.0, STEPS)


def curve(losses: np.ndarray) -> LrCurve:
    """What the test makes of a loss a batch."""
    weights = np.cumsum(SMOOTHING ** np.arange(len(losses)))
    sums = [float(losses[: n + 1] @ SMOOTHING ** np.arange(n, -1, -1)) for n in range(len(losses))]
    return LrCurve(tuple(RATES[: len(losses)]), tuple(np.array(sums) / weights))


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_a_rate_where_the_loss_falls(noise: float) -> None:
    """Flat to step 50, down to half by step 85, and up."""
    loss = np.interp(np.arange(STEPS), [0, 50, 85, 99], [2.0, 2.0, 1.0, 4.0])
    suggestion = curve(loss + noise * np.random.default_rng(0).standard_normal(STEPS)).suggestion
    assert suggestion is not None
    assert RATES[50] <= suggestion <= RATES[88]


@pytest.mark.parametrize("noise", [0.001, 0.1, 0.5])
def test_noise_alone_suggests_nothing(noise: float) -> None:
    rng = np.random.default_rng(0)
    suggestions = [curve(2.0 + noise * rng.standard_normal(STEPS)).suggestion for _ in range(300)]
    assert suggestions.count(None) >= 294


@pytest.mark.parametrize("count", [3, 12, STEPS])
def test_no_fall_suggests_nothing(count: int) -> None:
    for losses in (np.full(count, 2.0), np.linspace(1.0, 3.0, count)):
        assert LrCurve(tuple(RATES[:count]), tuple(losses)).suggestion is None


def test_tries_the_rates_of_a_run_and_writes_nothing(config: TrainConfig) -> None:
    found = find_lr(config, LrSearch(lr_low=1e-5, lr_high=10.0, steps=30))
    assert 3 <= len(found.lrs) == len(found.losses) <= 30
    assert found.losses[-1] > min(found.losses)
    assert len(found.plot().axes) == 1
    assert not config.output.exists()


def test_a_range_upside_down_is_refused(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match="`lr_low`"):
        find_lr(config, LrSearch(lr_low=1.0, lr_high=0.1))
