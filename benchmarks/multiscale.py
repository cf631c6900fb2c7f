"""Does the multi-scale sampler pay? Times training steps at one size and at many, interleaved, on real images.

    python benchmarks/multiscale.py ../shared/data/imagenette

A step is all that training does: decode, augment, forward, backward, AdamW. Round by round, every rule takes the next
step of its own schedule between two steps of single-scale training, and its cost is counted in these: whatever else the
machine does meanwhile falls on both. The cost of a step at a resolution is the median over its rounds; an epoch is
the sum of these over the rule's schedule of a whole epoch. Beside the measured epoch stand the one that counting pixels
predicts (docs/sampler.md), and the one by multiply-adds, which grow faster: attention is quadratic in the pixels.
"""

import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import record
import torch
import tyro
from torch.nn import functional

from mobilevit.datasets import class_folders
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Sample
from mobilevit.images.transforms import AugmentConfig
from mobilevit.inspection import info
from mobilevit.loading.batch import Batch, prepare
from mobilevit.loading.loader import ImageDataset, train_loader
from mobilevit.loading.multiscale import (
    MultiScaleConfig,
    MultiScaleSampler,
    Resolution,
    RuleName,
    expected_epoch,
    resolutions,
)
from mobilevit.models.table import build
from mobilevit.spec import Preprocessing
from mobilevit.tasks.classification.task import ClassificationTask

PREDICTED: dict[RuleName, float] = {
    "paper": 0.739,
    "v0.1": 0.794,
}  # base 256 px, sizes 160-320, batches before rounding
GOAL = "what counting pixels predicts: 0.739 of a single-scale epoch by the paper's rule, 0.794 by that of v0.1"
SEED = 0


@dataclass(frozen=True)
class Options:
    """What to time."""

    data: Annotated[Path, tyro.conf.Positional]  # a dataset of class folders
    model: str = "mobilevit_xxs"  # which model trains
    image_size: int = 256  # base size of the images
    batch_size: int = 8  # images in a batch at the base size
    steps: int = 60  # timed steps of each rule
    warmup: int = 2  # steps of each resolution before them, not timed
    num_workers: int = 0  # processes that decode; 0 decodes inside the step
    device: str = "cpu"  # where to train
    minutes: float = 8.5  # stop timing after so long, and say so
    results: bool = False  # write benchmarks/results/multiscale.json too


def main(options: Options) -> None:
    single, trials = Trial("single", options), [Trial(rule, options) for rule in PREDICTED]
    for trial in (single, *trials):
        trial.warm_up(options.warmup)
    started, rounds = time.monotonic(), 0
    before_s = single.timed_step()
    while rounds < options.steps and time.monotonic() - started < 60 * options.minutes:
        for trial in trials:
            trial_s, after_s = trial.timed_step(), single.timed_step()
            trial.costs[trial.image_size].append(2 * trial_s / (before_s + after_s))
            single.costs[single.image_size].append(after_s / before_s)
            before_s = after_s
        rounds += 1
    if any(not trial.costs[choice.image_size] for trial in trials for choice in trial.choices):
        raise SystemExit(f"some size was not drawn in {rounds} steps: give more --steps or --minutes")
    _show(options, single, trials, rounds)


class Trial:
    """Training by one rule: its own model, optimizer and place in its schedule."""

    def __init__(self, rule: RuleName, options: Options) -> None:
        samples = class_folders.read(options.data, ReadOptions()).splits["train"]
        config = MultiScaleConfig(sampler=rule, image_size=options.image_size, batch_size=options.batch_size)
        self.rule, self.choices, self.device = rule, resolutions(config), torch.device(options.device)
        self.sampler = MultiScaleSampler(len(samples), config, seed=SEED)
        self.batches = _endless(samples, self.sampler, options)
        torch.manual_seed(SEED)
        model = build(options.model, 1 + max(sample.target for sample in samples))
        self.model = model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        self.image_size = options.image_size  # of the last step
        self.times_s: list[float] = []
        self.costs: dict[int, list[float]] = defaultdict(list)  # by size: in steps of single-scale training

    def warm_up(self, steps: int) -> None:
        for choice in self.choices:
            for _ in range(steps):
                self._train(torch.zeros(choice.batch_size, 3, choice.image_size, choice.image_size, dtype=torch.uint8))

    def timed_step(self) -> float:
        """Seconds of the next step of the schedule, from asking for its batch to its update."""
        started = time.perf_counter()
        batch = next(self.batches)
        self._train(batch.images, batch.targets)
        self.image_size = batch.images.shape[-1]
        self.times_s.append(time.perf_counter() - started)
        return self.times_s[-1]

    def _train(self, images: torch.Tensor, targets: torch.Tensor | None = None) -> None:
        inputs = prepare(images.to(self.device), "rgb")
        labels = torch.zeros(len(inputs), dtype=torch.long) if targets is None else targets
        loss = functional.cross_entropy(self.model(inputs), labels.to(self.device), label_smoothing=0.1)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        loss.item()  # waits for a GPU

    def cost(self, choice: Resolution) -> float:
        """Of a step at this resolution, in steps of single-scale training."""
        return statistics.median(self.costs[choice.image_size])

    def epoch_cost(self) -> float:
        """Of every step in the schedule of a whole epoch, in the same unit."""
        schedule = self.sampler.schedule
        return sum(self.cost(schedule.step(0, step)) for step in range(schedule.steps(0)))


def _by_operations(trial: Trial, base_px: int) -> float:
    """Multiply-adds of an epoch over those of an epoch at the base size; as `expected_epoch` counts pixels."""
    images = sum(choice.batch_size for choice in trial.choices)
    total = sum(choice.batch_size * info(trial.model, choice.image_size).macs.total for choice in trial.choices)
    return total / (images * info(trial.model, base_px).macs.total)


def _endless(samples: tuple[Sample, ...], sampler: MultiScaleSampler, options: Options) -> Iterator[Batch]:
    """Batches of epoch after epoch."""
    dataset = ImageDataset(
        samples, ClassificationTask(), seed=SEED, augment=AugmentConfig(), preprocessing=Preprocessing()
    )
    loader = train_loader(dataset, sampler, options.num_workers)
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def _show(options: Options, single: Trial, trials: list[Trial], rounds: int) -> None:
    steps, step_s = single.sampler.schedule.steps(0), statistics.median(single.times_s)
    print(f"{options.model}, base {options.image_size} px, batch {options.batch_size}, {rounds} steps of each rule,")
    print(f"torch {torch.__version__}, {options.device}, {torch.get_num_threads()} threads, {platform.machine()}\n")
    epochs: list[dict[str, object]] = [
        {"rule": "single", "steps_an_epoch": steps, "epoch_s": round(steps * step_s), "measured": 1.0}
    ]
    epochs += [_epoch_row(trial, steps, step_s, options) for trial in trials]
    costs = [_cost_row(trial, choice, options) for trial in (single, *trials) for choice in trial.choices]
    record.print_rows(epochs)
    record.print_rows(costs)
    if options.results:
        record.write("multiscale", {"epochs": epochs, "steps": costs}, goal=GOAL)


def _epoch_row(trial: Trial, steps: int, step_s: float, options: Options) -> dict[str, object]:
    ratio = trial.epoch_cost() / steps
    return {
        "rule": trial.rule,
        "steps_an_epoch": trial.sampler.schedule.steps(0),
        "epoch_s": round(ratio * steps * step_s),
        "measured": round(ratio, 3),
        "predicted": PREDICTED[trial.rule],
        "by_pixels": round(expected_epoch(trial.choices, options.image_size), 3),
        "by_multiply-adds": round(_by_operations(trial, options.image_size), 3),
    }


def _cost_row(trial: Trial, choice: Resolution, options: Options) -> dict[str, object]:
    cost = trial.cost(choice)
    return {
        "rule": trial.rule,
        "input_px": choice.image_size,
        "batch": choice.batch_size,
        "steps_timed": len(trial.costs[choice.image_size]),
        "cost_of_a_step": round(cost, 2),
        "cost_of_an_image": round(cost * options.batch_size / choice.batch_size, 2),
    }


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
