"""What a run would be like: the run's own steps and sizes, and nothing on disk."""

from dataclasses import replace
from pathlib import Path

import pytest

import mobilevit
from mobilevit.errors import MobileViTError, OutOfMemoryError
from mobilevit.training import caching
from mobilevit.training.callbacks import Quiet, StepReport
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.dry_run import STEPS, DryRun, dry_run
from mobilevit.training.run import prepare


class Sizes(Quiet):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def step(self, report: StepReport) -> None:
        self.seen.append(report.image_size)


def files(root: Path) -> set[Path]:
    return set(root.rglob("*"))


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_says_what_the_run_would_be_and_writes_nothing(task_config: TrainConfig, cache: str, tmp_path: Path) -> None:
    config = replace(task_config, cache=cache)
    before = files(tmp_path) | files(config.data)
    sizes = Sizes()
    seen = dry_run(config, sizes)
    assert files(tmp_path) | files(config.data) == before
    schedule = prepare(config, Quiet(), Group()).sampler.schedule
    assert seen.resolutions == schedule.choices
    steps = [schedule.steps(epoch) for epoch in range(config.epochs)]
    assert min(steps) <= seen.steps_per_epoch <= max(steps)
    assert len(sizes.seen) == STEPS + 1
    assert {sizes.seen[0], sizes.seen[-1]} == {schedule.choices[0].image_size, schedule.choices[-1].image_size}
    assert min(seen.step_seconds, seen.decode_seconds, seen.epoch_seconds) > 0
    assert seen.peak_bytes > 10**7
    assert (seen.cache_bytes > 0) == (cache == "memory")
    assert {"model", "sizes", "steps", "time", "memory"} <= set(seen.facts())


def test_decoding_beside_the_step_costs_only_what_the_step_does_not_hide() -> None:
    alone = DryRun("m", "cpu", 100, (), 2, 10, 2.0, 6.0, 0, 0, 0)
    assert alone.epoch_seconds == 80
    assert replace(alone, num_workers=2).epoch_seconds == 30
    assert replace(alone, num_workers=6).epoch_seconds == 20
    assert alone.facts()["memory"] == "unknown on this system"
    assert alone.facts()["steps"] == "10 per epoch, 2 epochs"
    told = replace(alone, epochs=1, peak_bytes=2 * 10**9, cache_bytes=4 * 10**6).facts()
    assert (told["steps"], told["cache"]) == ("10 per epoch, 1 epoch", "4.0 MB of decoded images")
    assert told["memory"] == "2.00 GB of this process at most"


def test_a_cache_that_does_not_fit_is_said_before_the_run(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutOfMemoryError("full")

    monkeypatch.setattr(caching, "must_fit", full)
    with pytest.raises(OutOfMemoryError, match="full"):
        mobilevit.dry_run(replace(config, cache="memory"))


def test_mistakes_are_those_of_a_run(config: TrainConfig) -> None:
    with pytest.raises(MobileViTError, match="no-such-weights"):
        dry_run(replace(config, weights="no-such-weights"))
