"""The sampler's laws, its sets of sizes as published, and what it is predicted to save."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilevit.errors import DataError, UsageError
from mobilevit.loading.multiscale import (
    RULES,
    MultiScaleConfig,
    MultiScaleSampler,
    RuleName,
    Schedule,
    expected_epoch,
    resolutions,
)

SIDES = (160, 192, 256, 288, 320)
IMAGENET = 1_281_167  # training images of ImageNet-1k


def published(rule: RuleName) -> MultiScaleConfig:
    """The setting of the paper: 128 images a GPU at 256 px, sizes from 160 to 320."""
    return MultiScaleConfig(sampler=rule, image_size=256, image_size_min=160, image_size_max=320, batch_size=128)


@pytest.mark.parametrize(
    ("rule", "world_size", "batches"),
    [
        *[("paper", gpus, (327, 227, 128, 101, 81)) for gpus in (1, 4, 8)],
        ("v0.1", 1, (327, 227, 128, 128, 128)),
        ("v0.1", 4, (328, 228, 128, 128, 128)),
        ("v0.1", 8, (328, 224, 128, 128, 128)),
        *[("v0.4", gpus, (327, 227, 128, 101, 81)) for gpus in (1, 4, 8)],
    ],
)
def test_the_published_sets(rule: RuleName, world_size: int, batches: tuple[int, ...]) -> None:
    assert resolutions(published(rule), world_size) == tuple(zip(SIDES, batches, strict=True))
    defaults = MultiScaleConfig(sampler=rule, image_size=256, batch_size=128)
    assert resolutions(defaults, world_size) == resolutions(published(rule), world_size)


def test_single_is_one_size_and_one_batch_whatever_the_size() -> None:
    assert resolutions(MultiScaleConfig(sampler="single", image_size=250, batch_size=7), 8) == ((250, 7),)


@pytest.mark.parametrize("base_px", [64, 128, 256])
def test_smaller_bases_keep_the_five_sizes_of_the_paper(base_px: int) -> None:
    choices = resolutions(MultiScaleConfig(image_size=base_px, batch_size=128))
    assert [choice.image_size * 256 for choice in choices] == [side * base_px for side in SIDES]
    assert [choice.batch_size for choice in choices] == [327, 227, 128, 101, 81]


def test_the_official_rounding_to_two_decimals_changes_no_batch() -> None:
    """The official code rounds the quotient before it cuts off the fraction; here the fraction is just cut off."""
    for base_px in (64, 128, 160, 192, 224, 256, 384):
        for batch_size in range(1, 300):
            for side, batch in resolutions(MultiScaleConfig(sampler="v0.4", image_size=base_px, batch_size=batch_size)):
                assert batch == max(1, int(round(base_px**2 * batch_size / side**2, 2)))


@pytest.mark.parametrize(("rule", "predicted"), [("paper", 0.739), ("v0.1", 0.794)])
def test_predicted_epoch(rule: RuleName, predicted: float) -> None:
    """By pixels, with batches before rounding: 0.739 and 0.794 of the single-scale epoch."""
    least = 1.0 if RULES[rule].at_least_base else 0.0
    ideal = [max(least, (256 / side) ** 2) for side in SIDES]  # in batches of the base size
    pixels = [batch * (side / 256) ** 2 for batch, side in zip(ideal, SIDES, strict=True)]
    assert round(sum(pixels) / sum(ideal), 3) == predicted
    for world_size in (1, 4, 8):  # whole batches move it by a thousandth
        assert abs(expected_epoch(resolutions(published(rule), world_size), 256) - predicted) < 0.0015


@pytest.mark.parametrize(("rule", "updates"), [("v0.1", 256_791), ("v0.4", 278_175), ("single", 375_600)])
def test_updates_of_300_epochs_of_imagenet(rule: RuleName, updates: int) -> None:
    """As counted with the official sampler; its generator is another, so the draws differ a little."""
    schedule = MultiScaleSampler(IMAGENET, published(rule), seed=0, world_size=8).schedule
    counted = sum(schedule.steps(epoch) for epoch in range(300))
    assert counted == updates if rule == "single" else abs(counted / updates - 1) < 0.002


def test_each_choice_is_as_likely() -> None:
    schedule = Schedule(resolutions(published("paper")), samples=2_000_000, seed=0)
    drawn = [schedule.step(0, step).image_size for step in range(schedule.steps(0))]
    shares = np.unique(drawn, return_counts=True)[1] / len(drawn)
    assert len(shares) == 5 and np.abs(shares - 0.2).max() < 0.02


@st.composite
def configs(draw: st.DrawFn) -> MultiScaleConfig:
    return MultiScaleConfig(
        sampler=draw(st.sampled_from(list(RULES))),
        image_size=draw(st.integers(32, 512)),
        sizes=draw(st.integers(1, 7)),
        divisor=draw(st.none() | st.integers(1, 64)),
        batch_size=draw(st.integers(1, 40)),
    )


SEEDS, EPOCHS = st.integers(-5, 2**63), st.integers(0, 1000)


@settings(deadline=None)
@given(configs(), st.integers(1, 16))
def test_sets_are_sane(config: MultiScaleConfig, world_size: int) -> None:
    choices = resolutions(config, world_size)
    sides = [choice.image_size for choice in choices]
    assert sides == sorted(set(sides)) and min(sides) >= 1
    batches = [choice.batch_size for choice in choices]
    assert batches == sorted(batches, reverse=True) and min(batches) >= 1
    if config.sampler == "v0.1":
        assert all(batch % world_size == 0 for batch in batches)


@settings(max_examples=150, deadline=None)
@given(configs(), st.integers(1, 500), st.integers(1, 5), SEEDS, EPOCHS)
def test_every_sample_once_an_epoch_before_padding(
    config: MultiScaleConfig, samples: int, world_size: int, seed: int, epoch: int
) -> None:
    share = -(-samples // world_size)
    taken = []
    for rank in range(world_size):
        sampler = MultiScaleSampler(samples, config, seed=seed, rank=rank, world_size=world_size, epoch=epoch)
        batches = list(sampler)
        assert len(sampler) == len(batches)
        for step, batch in enumerate(batches):
            assert {(key.epoch, key.image_size) for key in batch} == {
                (epoch, sampler.schedule.step(epoch, step).image_size)
            }
            assert len(batch) == sampler.schedule.step(epoch, step).batch_size
            if samples >= world_size:
                assert len({key.index for key in batch}) == len(batch)
        indices = [key.index for batch in batches for key in batch]
        assert sum(len(batch) for batch in batches[:-1]) < share <= len(indices), "no batch of padding alone"
        assert indices[share:] == indices[: len(indices) - share], "the last batch wraps round"
        taken.append(indices[:share])
    together = [taken[i % world_size][i // world_size] for i in range(share * world_size)]
    assert sorted(together[:samples]) == list(range(samples))
    assert together[samples:] == (together[:samples] * world_size)[: len(together) - samples]


@settings(max_examples=60, deadline=None)
@given(configs(), st.integers(1, 300), SEEDS, EPOCHS, st.data())
def test_resumed_inside_an_epoch_equals_never_stopped(
    config: MultiScaleConfig, samples: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    whole = list(MultiScaleSampler(samples, config, seed=seed, epoch=epoch))
    start = data.draw(st.integers(0, len(whole)))
    resumed = MultiScaleSampler(samples, config, seed=seed, epoch=epoch, start_step=start)
    assert len(resumed) == len(whole) - start
    assert list(resumed) == whole[start:]
    resumed.set_epoch(epoch + 1)
    resumed.set_epoch(epoch)
    assert list(resumed) == whole


@settings(max_examples=40, deadline=None)
@given(configs(), st.integers(1, 300), SEEDS)
def test_the_schedule_may_be_asked_in_any_order(config: MultiScaleConfig, samples: int, seed: int) -> None:
    schedule = Schedule(resolutions(config), samples, seed)
    asked = [(epoch, step) for epoch in range(4) for step in range(schedule.steps(epoch))]
    expected = [schedule.step(*place) for place in asked]
    order = list(range(len(asked)))
    random.Random(0).shuffle(order)
    again = Schedule(resolutions(config), samples, seed)
    assert all(again.step(*asked[place]) == expected[place] for place in order)
    taken = [sum(schedule.step(0, before).batch_size for before in range(step)) for step in range(schedule.steps(0))]
    assert [schedule.taken(0, step) for step in range(schedule.steps(0))] == taken


def test_every_process_sees_the_same_sizes() -> None:
    samplers = [MultiScaleSampler(999, published("v0.1"), seed=3, rank=rank, world_size=8) for rank in range(8)]
    shapes = [[(batch[0].image_size, len(batch)) for batch in sampler] for sampler in samplers]
    assert all(shape == shapes[0] for shape in shapes)


def test_seed_and_epoch_change_the_order_and_global_generators_do_not() -> None:
    config = MultiScaleConfig(image_size=64, batch_size=4)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    first = list(MultiScaleSampler(50, config, seed=1))
    assert random.getstate() == states[0]
    assert (np.random.get_state()[1] == states[1]).all()
    assert torch.equal(torch.get_rng_state(), states[2])
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    assert list(MultiScaleSampler(50, config, seed=1)) == first
    assert list(MultiScaleSampler(50, config, seed=2)) != first
    orders = [[key.index for batch in MultiScaleSampler(50, config, seed=1, epoch=e) for key in batch] for e in (0, 1)]
    assert orders[0] != orders[1]


def test_fewer_samples_than_a_batch_make_one_smaller_batch() -> None:
    sampler = MultiScaleSampler(5, MultiScaleConfig(image_size=64, batch_size=32), seed=0)
    assert [sorted(key.index for key in batch) for batch in sampler] == [[0, 1, 2, 3, 4]]


def test_mistakes_are_named() -> None:
    with pytest.raises(UsageError, match="did you mean"):
        MultiScaleConfig(sampler="v0.5")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="`image_size` is 16: it must be between 32 and 4096"):
        MultiScaleConfig(image_size=16)
    with pytest.raises(UsageError, match="`batch_size` is -1"):
        MultiScaleConfig(batch_size=-1)
    with pytest.raises(UsageError, match="larger than"):
        MultiScaleConfig(image_size=256, image_size_min=300, image_size_max=200)
    for outside in (
        MultiScaleConfig(image_size=64, image_size_min=100),
        MultiScaleConfig(image_size=192, image_size_max=128),
    ):
        with pytest.raises(UsageError, match="is outside the range of training sizes"):
            resolutions(outside)
    with pytest.raises(UsageError, match="give `image_size`"):
        resolutions(MultiScaleConfig())
    with pytest.raises(DataError, match="no images"):
        MultiScaleSampler(0, MultiScaleConfig(image_size=64), seed=0)
