"""The largest batch that fits: the search by its law, a trial by real steps, and what stops it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobilevit.errors import OutOfMemoryError, UsageError
from mobilevit.loading.multiscale import AUTO_BATCH, MultiScaleConfig, resolutions
from mobilevit.training.batch_search import Trial, largest, largest_batch, must_be_searchable
from mobilevit.training.callbacks import Quiet
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.loop import Parts
from mobilevit.training.lr_finder import find_lr
from mobilevit.training.run import prepare, train


@given(limit=st.integers(0, 5000), most=st.integers(1, 5000))
def test_finds_the_largest_that_fits_in_few_tries(limit: int, most: int) -> None:
    tried: list[int] = []

    def fits(number: int) -> bool:
        tried.append(number)
        return number <= limit

    assert largest(fits, most) == min(limit, most)
    assert all(1 <= number <= max(1, min(2 * limit, most)) for number in tried), "nothing far too large is tried"
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1


def with_limit(config: TrainConfig, limit: int) -> Parts:
    """On the CPU, of a model that runs out of memory, as torch says it, where a batch has more than `limit` images."""

    def refuse(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if len(inputs[0]) > limit:
            torch.empty(2**55)

    parts = prepare(replace(config, scale=replace(config.scale, batch_size=1)), Quiet(), Group())
    parts.model.register_forward_pre_hook(refuse)
    return parts


def test_a_trial_takes_real_steps_of_each_task(task_config: TrainConfig) -> None:
    trial = Trial(with_limit(task_config, 3))
    assert trial.image_size == 48
    at_base = [size for size in range(1, 10) if resolutions(replace(task_config.scale, batch_size=size))[-1][1] <= 3]
    assert [size for size in range(1, 10) if trial.fits(size)] == at_base
    assert all(p.grad is None for p in trial.parts.model.parameters())


def test_the_batch_at_the_largest_size_is_the_one_that_counts(config: TrainConfig) -> None:
    found = largest_batch(with_limit(config, 3))
    assert resolutions(replace(config.scale, batch_size=found))[-1].batch_size == 3
    assert resolutions(replace(config.scale, batch_size=found + 1))[-1].batch_size == 4
    with pytest.raises(OutOfMemoryError, match="not even one image of 48 px"):
        largest_batch(with_limit(config, 0))


def test_what_goes_wrong_otherwise_is_not_taken_for_memory(config: TrainConfig) -> None:
    parts = with_limit(config, 3)
    parts.model.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        largest_batch(parts)


@pytest.mark.parametrize("verb", [train, find_lr])
def test_on_a_cpu_a_number_is_asked_for(config: TrainConfig, verb: object) -> None:
    automatic = replace(config, scale=replace(config.scale, batch_size=AUTO_BATCH))
    with pytest.raises(UsageError, match=r"`batch_size` is auto.* this run is on cpu: give a number"):
        verb(automatic)  # type: ignore[operator]
    assert not config.output.exists()


def test_a_gpu_that_is_shared_cannot_be_searched() -> None:
    with pytest.raises(UsageError, match="share a GPU"):
        must_be_searchable(torch.device("cuda"), Group(0, 999, 999))


def test_sizes_have_no_batch_before_it_is_found() -> None:
    with pytest.raises(UsageError, match="`batch_size` is auto"):
        resolutions(MultiScaleConfig(image_size=64, batch_size=AUTO_BATCH))
