"""The multi-scale sampler (paper, section 3.2): every step draws an image size and the batch size for it.

Small images come in large batches and large ones in small batches, so that a step costs about the same at every
size; the epoch takes fewer steps. What is drawn is a pure function of (seed, epoch, step): any step can be asked for
in any order, every process gets the same answer, and a stopped run resumes within an epoch.
`docs/sampler.md` has the rules, their sets of sizes, and what they save.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from mobilevit.errors import DataError, UsageError, check_ranges, unknown
from mobilevit.loading.batch import Key
from mobilevit.loading.randomness import generator

RuleName = Literal["paper", "v0.1", "v0.4", "single"]


AUTO_BATCH = 0  # in place of a batch size: the largest that fits, which a run finds before it begins


@dataclass(frozen=True)
class MultiScaleConfig:
    """Multi-scale training: image sizes, and the batch size of each."""

    sampler: RuleName = "paper"  # multi-scale rule, see docs/sampler.md; single: one image size, one batch size
    image_size: int | None = None  # base side of the square images, in pixels; None: chosen from the data
    size_min_ratio: float = 0.625  # smallest side divided by the base side, 0.1 to 1
    size_max_ratio: float = 1.25  # largest side divided by the base side, 1 to 10
    image_size_min: int | None = None  # smallest side in pixels; None: from its ratio to the base side
    image_size_max: int | None = None  # largest side in pixels; None: from its ratio to the base side
    sizes: int = 5  # number of evenly spaced image sizes; the base side is added if missing
    divisor: int | None = None  # image sizes are multiples of this; None: 32, 16 below 192 px, 8 below 96 px
    batch_size: int = 32  # images per batch at the base size, in each process; auto or 0: as many as fit the GPU

    def __post_init__(self) -> None:
        """UsageError for values out of range."""
        if self.sampler not in get_args(RuleName):
            raise unknown("sampler", self.sampler, get_args(RuleName))
        whole, side = (1.0, float("inf")), (1.0, 4096.0)
        check_ranges(
            self, image_size=(32.0, 4096.0), image_size_min=side, image_size_max=side
        )  # the model halves five times
        check_ranges(self, size_min_ratio=(0.1, 1.0), size_max_ratio=(1.0, 10.0))
        check_ranges(self, sizes=whole, divisor=whole, batch_size=(float(AUTO_BATCH), float("inf")))
        if self.image_size_min and self.image_size_max and self.image_size_min > self.image_size_max:
            raise UsageError(
                f"`image_size_min={self.image_size_min}` is larger than `image_size_max={self.image_size_max}`"
            )


class Resolution(NamedTuple):
    """One choice of the sampler: the side of square images, and how many of them one process takes."""

    image_size: int
    batch_size: int


@dataclass(frozen=True)
class Rule:
    """How sizes and batches follow from the base; a column of the table in docs/sampler.md."""

    multi_scale: bool = True
    at_least_base: bool = False  # no batch is smaller than at the base size
    divisible: bool = False  # batches are multiples of the number of processes


RULES: dict[RuleName, Rule] = {
    "paper": Rule(),
    "v0.1": Rule(at_least_base=True, divisible=True),
    "v0.4": Rule(),  # the official code came back to the paper's formula
    "single": Rule(multi_scale=False),
}


def resolutions(config: MultiScaleConfig, world_size: int = 1) -> tuple[Resolution, ...]:
    """The choices of a config (its base size and batch are set), by rising size, each equally likely at every step."""
    base_px, rule = base_size(config), RULES[config.sampler]
    if config.batch_size == AUTO_BATCH:
        raise UsageError("`batch_size` is auto (0), which only a run can resolve: give a number")
    if not rule.multi_scale:
        return (Resolution(base_px, config.batch_size),)
    pixels = base_px * base_px * config.batch_size
    return tuple(
        Resolution(side_px, _batch_size(pixels, side_px * side_px, config.batch_size, rule, world_size))
        for side_px in _sides(config, base_px)
    )


def base_size(config: MultiScaleConfig) -> int:
    """The base size of a config in which it is set; UsageError where it is not."""
    if config.image_size is None:
        raise UsageError("the base size of the images is not set: give `image_size`")
    return config.image_size


def _sides(config: MultiScaleConfig, base_px: int) -> list[int]:
    smallest = config.image_size_min or base_px * config.size_min_ratio
    largest = config.image_size_max or base_px * config.size_max_ratio
    if not smallest <= base_px <= largest:
        raise UsageError(
            f"the base size of {base_px} px is outside the range of training sizes, {smallest:g} to {largest:g} px: "
            "change `image_size_min` and `image_size_max` to include it, or omit them"
        )
    divisor = config.divisor or next(divisor for from_px, divisor in DIVISORS if base_px >= from_px)
    sides = [*np.linspace(smallest, largest, config.sizes).tolist(), float(base_px)]
    return sorted({_to_multiple(side, divisor) for side in sides})


# The paper's 32 is an eighth of its 256 px. Smaller images keep its five sizes with a smaller divisor: in steps of
# 32, a base of 64 px would leave 64 and 96, and an epoch would cost more than without the sampler.
DIVISORS = ((192, 32), (96, 16), (0, 8))


def _to_multiple(value: float, divisor: int) -> int:
    """The nearest multiple of `divisor` that is not below 0.9 of `value` (as in the official code)."""
    multiple = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return multiple + divisor if multiple < 0.9 * value else multiple


def _batch_size(pixels: int, area: int, base_batch: int, rule: Rule, world_size: int) -> int:
    """How many images of `area` hold `pixels` together: b_t = H_n W_n b / (H_t W_t), cut to a whole number."""
    batch = max(base_batch if rule.at_least_base else 1, pixels // area)
    return _to_multiple(batch, world_size) if rule.divisible else batch


def expected_epoch(choices: tuple[Resolution, ...], base_px: int) -> float:
    """Pixels of a multi-scale epoch over those of an epoch at the base size.

    A step takes b images of s x s pixels, each choice equally often, so an epoch of N images has N / E[b] steps
    and N E[b s^2] / E[b] pixels.
    """
    images = sum(choice.batch_size for choice in choices)
    return sum(choice.batch_size * choice.image_size**2 for choice in choices) / (images * base_px**2)


@dataclass(frozen=True)
class Schedule:
    """The choice of every step of every epoch, the same in every process. Pure: asks nothing but (epoch, step)."""

    choices: tuple[Resolution, ...]
    samples: int  # that each process takes in an epoch, before the last batch is filled up
    seed: int

    def steps(self, epoch: int) -> int:
        """Batches in an epoch."""
        return len(_drawn(self, epoch)[0])

    def step(self, epoch: int, step: int) -> Resolution:
        """What a step draws. No batch is larger than an epoch, so none holds a sample twice."""
        side_px, batch_size = self.choices[_drawn(self, epoch)[0][step]]
        return Resolution(side_px, min(batch_size, self.samples))

    def taken(self, epoch: int, step: int) -> int:
        """Samples of one process that the steps before this one took."""
        return int(_drawn(self, epoch)[1][step])


@lru_cache(maxsize=8)
def _drawn(schedule: Schedule, epoch: int) -> tuple[list[int], NDArray[np.int64]]:
    """The choices of an epoch by their position, and how many samples were taken before each step."""
    batches = np.array([choice.batch_size for choice in schedule.choices])
    most = -(-schedule.samples // int(batches.min()))
    drawn = generator("schedule", schedule.seed, epoch).integers(len(batches), size=most)
    taken = np.concatenate([[0], np.cumsum(batches[drawn])])
    steps = int(np.searchsorted(taken, schedule.samples))
    return drawn[:steps].tolist(), taken


class MultiScaleSampler(Sampler[list[Key]]):
    """A batch sampler over `num_samples` samples, for one of `world_size` processes.

    Every epoch takes every sample once, in an order of its own. Two things are then filled up by wrapping round to the
    first samples of the order: the shares of the processes to equal lengths, and each share's last batch.
    """

    def __init__(
        self,
        num_samples: int,
        config: MultiScaleConfig,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        epoch: int = 0,
        start_step: int = 0,
    ) -> None:
        """`start_step` goes on inside an epoch: the batches before it are left out. DataError without samples."""
        if num_samples < 1:
            raise DataError("there are no images to train on")
        assert 0 <= rank < world_size
        self.schedule = Schedule(resolutions(config, world_size), -(-num_samples // world_size), seed)
        self.num_samples, self.seed, self.rank, self.world_size = num_samples, seed, rank, world_size
        self.set_epoch(epoch, start_step)

    def set_epoch(self, epoch: int, start_step: int = 0) -> None:
        """What the next iteration yields."""
        self.epoch, self.start_step = epoch, start_step

    def __len__(self) -> int:
        """Batches from `start_step` to the end of the epoch."""
        return max(0, self.schedule.steps(self.epoch) - self.start_step)

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, share = self.epoch, self._share(self.epoch)
        for step in range(self.start_step, self.schedule.steps(epoch)):
            image_size, batch_size = self.schedule.step(epoch, step)
            start = self.schedule.taken(epoch, step)
            indices = share.take(range(start, start + batch_size), mode="wrap").tolist()
            yield [Key(index, epoch, image_size) for index in indices]

    def _share(self, epoch: int) -> NDArray[np.int64]:
        """The samples of this process in the order of the epoch."""
        order = generator("order", self.seed, epoch).permutation(self.num_samples)
        return np.resize(order, self.schedule.samples * self.world_size)[self.rank :: self.world_size]
