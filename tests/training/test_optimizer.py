"""Laws of the learning rate and of the averaged weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobilevit.models.table import build
from mobilevit.training.config import OptimizerConfig
from mobilevit.training.ema import Ema
from mobilevit.training.optimizer import LearningRate, adamw, in_backbone


def test_warms_up_in_a_line_and_falls_as_half_a_cosine() -> None:
    rate = LearningRate(OptimizerConfig(lr=2e-3, lr_start=2e-4, lr_end=1e-4, warmup_steps=10), [55, 55])
    assert rate.at(0, 0) == 2e-4
    assert rate.at(0, 5) == pytest.approx(1.1e-3)
    assert rate.at(0, 10) == pytest.approx(2e-3)
    assert rate.at(1, 5) == pytest.approx((2e-3 + 1e-4) / 2)  # half way of the 100 steps after the warm-up
    assert rate.at(1, 54) == pytest.approx(1e-4, rel=0.01)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_is_positive_never_above_the_peak_and_falls_after_the_warm_up(steps: list[int], data: st.DataObject) -> None:
    rate = LearningRate(OptimizerConfig(), steps)
    epoch = data.draw(st.integers(0, len(steps) - 1))
    rates = [rate.at(epoch, step) for step in range(steps[epoch] + 1)]
    assert all(0 < value <= rate.config.lr for value in rates)
    after = [value for step, value in enumerate(rates) if rate.first_step[epoch] + step >= rate.warmup]
    assert after == sorted(after, reverse=True)
    assert rates[-1] == rate.at(epoch + 1, 0) if epoch + 1 < len(steps) else True


@pytest.mark.parametrize("name", ["mobilevit_xxs", "ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"])
def test_the_head_learns_at_its_own_rate(name: str) -> None:
    model = build(name, 3)
    factors = {
        p: group["lr_factor"]
        for group in adamw(model, OptimizerConfig(head_lr=10)).param_groups
        for p in group["params"]
    }
    named = dict(model.named_parameters())
    assert len(factors) == len(named)
    assert {name: factors[p] for name, p in named.items()} == {n: 1.0 if in_backbone(n) else 10 for n in named}
    for parameter in model.backbone.parameters():
        parameter.requires_grad_(False)
    assert [group["lr_factor"] for group in adamw(model, OptimizerConfig(head_lr=10)).param_groups] == [10]


@pytest.mark.parametrize("name", ["mobilevit_xxs", "ssdlite_mobilevit_xxs"])
def test_all_tensors_in_one_go_are_updated_as_one_by_one(name: str) -> None:
    """In the memory layout of training, where the kernel walks over parameter, gradient and moments side by side."""
    models = [build(name, 3).to(memory_format=torch.channels_last) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [
        adamw(models[0], OptimizerConfig()),
        torch.optim.AdamW(models[1].parameters(), lr=1e-3, eps=1e-8, weight_decay=0.01, foreach=False, fused=False),
    ]
    for seed in range(3):
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
        for model in models:
            torch.manual_seed(0)
            raw = model(images.to(memory_format=torch.channels_last))
            (
                raw.locations.square().sum() + raw.scores.sum() if name.startswith("ssd") else raw.square().sum()
            ).backward()
        for one, other in zip(*(model.parameters() for model in models), strict=True):
            one.grad = other.grad.clone()  # the same to the last bit, which AdamW's division would enlarge
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_average_follows_the_weights_and_buffers() -> None:
    model = nn.BatchNorm1d(3)
    ema = Ema(model, 0.9, warmup=False)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.running_mean.fill_(10.0)  # type: ignore[union-attr]
        model.num_batches_tracked.fill_(7)  # type: ignore[union-attr]
    ema.update(1)
    torch.testing.assert_close(ema.model.weight, torch.full((3,), 0.9 * 1 + 0.1 * 3))
    torch.testing.assert_close(ema.model.running_mean, torch.full((3,), 1.0))
    assert int(ema.model.num_batches_tracked) == 7


def test_average_with_warm_up_forgets_the_beginning_of_a_short_run() -> None:
    model = nn.Linear(2, 2)
    slow, fast = Ema(model, 0.9995, warmup=False), Ema(model, 0.9995, warmup=True)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for step in range(1, 101):
        slow.update(step)
        fast.update(step)
    assert (slow.model.weight - 1).abs().max() > 0.2
    assert (fast.model.weight - 1).abs().max() < 1e-6
