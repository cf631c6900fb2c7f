"""One training run, from its configuration to its run folder: setup, training, evaluation, report."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from mobilevit.datasets import doctor
from mobilevit.datasets.class_counts import class_weights, count
from mobilevit.datasets.finding import Finding
from mobilevit.datasets.image_findings import broken_findings, truncation
from mobilevit.datasets.image_inspection import Truncated
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, ImageError, UsageError, memory_errors
from mobilevit.evaluation import samples_of
from mobilevit.interrupts import StopRequest
from mobilevit.loading.loader import ImageDataset, train_loader
from mobilevit.loading.multiscale import AUTO_BATCH, MultiScaleSampler
from mobilevit.loading.workers import auto_workers
from mobilevit.models.table import MODELS, for_task, resolve
from mobilevit.runners import device_for
from mobilevit.tasks import recognize
from mobilevit.tasks.base import Task
from mobilevit.training.batch_search import largest_batch, must_be_searchable
from mobilevit.training.caching import keep_images
from mobilevit.training.callbacks import Callback, Quiet
from mobilevit.training.checkpoint import Checkpoint, TrainingProgress, read_checkpoint
from mobilevit.training.config import TrainConfig, checked
from mobilevit.training.distributed import Group, joined
from mobilevit.training.ema import Ema
from mobilevit.training.final_evaluation import finish
from mobilevit.training.lines import ProgressLines
from mobilevit.training.loop import Loop, Parts
from mobilevit.training.model_setup import amp_dtype, freeze, rebuild_model, start_model, wrapped
from mobilevit.training.optimizer import LearningRate, adamw
from mobilevit.training.resuming import changed, extend, finished_because, require_same, started
from mobilevit.training.runfolder import RunFolder, new_run, open_run
from mobilevit.training.scalars import ScalarLog
from mobilevit.training.step import TrainStep
from mobilevit.weights.creating import spec_of


@dataclass(frozen=True)
class RunResult:
    """The outcome of an attempt. A run that was stopped can be resumed; its report is not written yet."""

    folder: Path
    finished: bool
    best_score: float | None  # of the validation split, None where no epoch was finished and measured
    seconds: float  # of training, over all attempts


def train(config: TrainConfig, callback: Callback | None = None) -> RunResult:
    """Train a model and write its run folder.

    `callback` receives the progress; without one, lines are printed, one per epoch and more within long epochs
    (`Quiet()` prints nothing). MobileViTError if the data, the weights or an option are invalid; nothing is written
    then.
    """
    config = checked(config)
    with joined(config.device) as group, _told(callback, group) as callback, ExitStack() as held:
        parts = prepare(config, callback, group)
        progress = _begun(parts, callback)
        parts = keep_images(parts, callback)
        folder = RunFolder(group.from_leader(lambda: held.enter_context(new_run(parts.config)).path))
        return _attempt(parts, folder, progress, callback)


def resume(
    run: str | Path,
    callback: Callback | None = None,
    *,
    data: str | Path | None = None,
    epochs: int | None = None,
) -> RunResult:
    """Resume the run in the folder `run` from its last checkpoint, as if it had never stopped.

    `data` is the new location of its dataset, if it was moved. With another total of `epochs`, the learning rate
    follows the schedule of that many epochs from here on, and may rise again. Both are stored in config.json.
    TrainingError if the folder is not a run, or its dataset has changed; UsageError for fewer epochs than are done.
    """
    folder, before = open_run(Path(run))
    config = changed(before, data, epochs)
    with joined(config.device) as group, _told(callback, group) as callback, ExitStack() as held:
        group.from_leader(lambda: held.enter_context(folder.held()))
        if group.leads:
            folder.tidy()
        if folder.checkpoint.is_file():
            parts, progress = _restored(read_checkpoint(folder.checkpoint), before, config, epochs, callback, group)
        else:
            callback.notice("no checkpoint yet: the run starts over")
            parts = prepare(config, callback, group)
            progress = _begun(parts, callback)
        parts = keep_images(parts, callback)
        if group.leads and config != before:
            folder.write_config(parts.config)
        return _attempt(parts, folder, progress, callback)


@contextmanager
def _told(callback: Callback | None, group: Group) -> Iterator[Callback]:
    """Whoever is told how the run goes: by one process of several, and to its end, whatever happens."""
    told = (ProgressLines() if callback is None else callback) if group.leads else Quiet()
    try:
        yield told
    finally:
        told.end()


def _restored(
    checkpoint: Checkpoint,
    before: TrainConfig,
    config: TrainConfig,
    epochs: int | None,
    callback: Callback,
    group: Group,
) -> tuple[Parts, TrainingProgress]:
    """Everything as the checkpoint has it, for the changed configuration; `epochs` where they were asked for."""
    progress = checkpoint.progress
    extend(progress, epochs)
    task, dataset = _read(config, callback)
    require_same(dataset, progress, checkpoint.spec)
    parts = _assemble(config, task, dataset, rebuild_model(config, checkpoint.spec), group)
    checkpoint.restore(parts.model, parts.ema, parts.optimizer)
    if progress.grad_scaler:
        parts.step.scaler.load_state_dict(progress.grad_scaler)
    if config.epochs != before.epochs:
        callback.notice(_other_schedule(parts, progress, before))
    if because := finished_because(progress, config):
        callback.notice(
            f"the run is finished: {because}. The report is written again; to train further, give a larger `epochs`"
        )
    return parts, progress


def _other_schedule(parts: Parts, progress: TrainingProgress, before: TrainConfig) -> str:
    """What another number of epochs does to the learning rate here."""
    config, at = parts.config, (progress.epoch, progress.step // parts.config.optim.grad_accum_steps)
    old = LearningRate(config.optim, _updates_of_epochs(before, parts.sampler.schedule.steps)).at(*at)
    new = parts.learning_rate.at(*at)
    rate = f"the learning rate follows their schedule: from {old:.2g} to {new:.2g} at this step"
    return f"{config.epochs} epochs in total instead of {before.epochs}: {rate}"


def prepare(config: TrainConfig, callback: Callback, group: Group) -> Parts:
    """Everything a new run needs except its folder, built from its configuration."""
    task, dataset = _read(config, callback)
    config = _settled(config, task, dataset)
    if config.scale.batch_size == AUTO_BATCH:
        config = _with_largest_batch(config, task, dataset, group, callback)
    parts = _assemble(config, task, dataset, start_model(config, task, dataset), group)
    for doubt in parts.learning_rate.too_short():
        callback.notice(doubt)
    return parts


def _begun(parts: Parts, callback: Callback) -> TrainingProgress:
    """Where the run stands before its first step; DataError where an image cannot be decoded."""
    truncated = _decode_once(parts, callback)
    for image in truncated:
        callback.notice(truncation(parts.dataset, image))
    return replace(started(parts.dataset), truncated=len(truncated))


def _decode_once(parts: Parts, callback: Callback) -> list[Truncated]:
    """The truncated images that are allowed; DataError where an image cannot be decoded, before hours are spent.

    The processes divide the work. It is left out where nothing is gained: skip_broken has decoded all, and an only
    epoch is over as soon as it meets them, unless a cache meets them first, which would name one alone. Truncated ones
    are always counted.
    """
    config, group = parts.config, parts.group
    if not config.allow_truncated and (config.skip_broken or (config.epochs == 1 and config.cache == "none")):
        return []
    used = replace(parts.dataset, splits={split: parts.dataset.splits[split] for split in ("train", "val")})
    share, allowed = (group.rank, group.world_size), ["train"] if config.allow_truncated else []
    found = group.gather(doctor.undecodable(parts.task, used, callback.checking, share=share, allow_truncated=allowed))
    _must_be_fine(broken_findings(used, [image for broken, _ in found for image in broken]), config)
    return [image for _, truncated in found for image in truncated]


def _must_be_fine(findings: Iterable[Finding], config: TrainConfig) -> None:
    errors = [finding.message for finding in findings if finding.severity == "error"]
    if errors:
        raise DataError(*errors, f"`mobilevit check {shlex.quote(str(config.data))}` reports details.")


def _read(config: TrainConfig, callback: Callback) -> tuple[Task, Dataset]:
    """The dataset, after the fast part of the doctor's check; DataError where training on it would go wrong."""
    task = recognize(config.data, _asked_for(config), config.data_format)
    dataset = task.read(config.data, ReadOptions(config.val_fraction, config.split_seed, config.data_format))
    left_out: list[Finding] = []
    if config.skip_broken:
        allowed = config.train_on if config.allow_truncated else ()
        dataset, left_out = doctor.without_broken(task, dataset, callback.checking, allow_truncated=allowed)
    findings = [*left_out, *doctor.quick_check(task, dataset)]
    _must_be_fine(findings, config)
    samples_of(dataset, "val")  # DataError where there is nothing to validate on
    for finding in findings:
        callback.notice(finding.message)
    if "val" in config.train_on:
        callback.notice(
            "training includes val: its score says nothing about new images, and the last weights are as good as any"
        )
    return task, _joined(dataset, config.train_on)


def _asked_for(config: TrainConfig) -> str | None:
    """The task by its name, or by the model where that is no classifier: those stand for the task's of their size.

    UsageError where the two differ.
    """
    of_model = MODELS[resolve(config.model)].task
    if of_model == "classification":
        return config.task
    if config.task not in (None, of_model):
        raise UsageError(
            f"the model {config.model} is for {of_model}, but the task is {config.task}: leave one of them out"
        )
    return of_model


def _joined(dataset: Dataset, train_on: Sequence[str]) -> Dataset:
    """The dataset whose training images are those of all the splits `train_on`."""
    samples = tuple(sample for split in dict.fromkeys(train_on) for sample in samples_of(dataset, split))
    return replace(dataset, splits={**dataset.splits, "train": samples})


def _settled(config: TrainConfig, task: Task, dataset: Dataset) -> TrainConfig:
    """The configuration with what the data decides: the model's task, the size of the images."""
    image_size = config.scale.image_size or doctor.suggest_image_size(task, dataset)
    return replace(config, model=for_task(config.model, task.name), scale=replace(config.scale, image_size=image_size))


def _with_largest_batch(
    config: TrainConfig, task: Task, dataset: Dataset, group: Group, callback: Callback
) -> TrainConfig:
    """The configuration with the largest batch size that every process has found to fit its GPU."""
    must_be_searchable(device_for(config.device), group)
    trial = replace(config, num_workers=0, cache="none", compile=False, scale=replace(config.scale, batch_size=1))
    parts = _assemble(trial, task, dataset, start_model(trial, task, dataset), Group())
    found = min(group.gather(largest_batch(parts)))
    callback.notice(f"batch_size is {found}: the largest that fits")
    return replace(config, scale=replace(config.scale, batch_size=found))


def _attempt(parts: Parts, folder: RunFolder, progress: TrainingProgress, callback: Callback) -> RunResult:
    """Train until the end or until a signal; at the end evaluate the best model and write the report."""
    log = ScalarLog(folder.tensorboard, leads=parts.group.leads, updates=progress.updates)
    callback.begin(_facts(parts, folder))
    try:
        with _readable(folder, progress):
            with StopRequest() as stop, memory_errors(lambda: _saved(parts, folder, progress)):
                finished = Loop(parts, folder, progress, callback, stop, log).run()
            if finished and parts.group.leads:
                finish(parts, folder, progress, callback)
    finally:
        log.close()
    return RunResult(folder.path, finished, progress.best_score, progress.seconds)


@contextmanager
def _readable(folder: RunFolder, progress: TrainingProgress) -> Iterator[None]:
    """A DataError that says how to continue, if a file breaks that was readable when the run began."""
    try:
        yield
    except (ImageError, DataError) as error:
        kept = f"The run is saved after step {progress.updates:,}"
        go_on = f"repair the file and resume with `mobilevit train --resume {shlex.quote(str(folder.path))}`"
        instead = "or start another run with `skip_broken`, which skips such files"
        raise DataError(f"{error}. {kept}: {go_on}, {instead}") from error


def _saved(parts: Parts, folder: RunFolder, progress: TrainingProgress) -> str:
    """What to say where memory ran out: what is left of the run, and how one needs less."""
    start = f" with {folder.best} as `weights`" if progress.best_epoch >= 0 else ""
    batch_size, largest = parts.config.scale.batch_size, parts.sampler.schedule.choices[-1]
    return (
        f"training stopped in epoch {progress.epoch + 1}, step {progress.step + 1}. {folder.path} has everything "
        f"saved before. Start a new run{start} with a `batch_size` below {batch_size}, which `grad_accum_steps` can "
        f"compensate, or with an `image_size_max` below {largest.image_size}."
    )


def _assemble(config: TrainConfig, task: Task, dataset: Dataset, model: nn.Module, group: Group) -> Parts:
    device, spec = device_for(config.device), spec_of(model)
    num_workers = (
        auto_workers(group.local_size, device=device.type) if config.num_workers is None else config.num_workers
    )
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.sync_norm and device.type != "cuda":
        raise UsageError(
            f"`sync_norm` synchronizes statistics over GPUs, but this run is on {device.type}: leave it out"
        )
    if config.sync_norm and group.world_size > 1:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    freeze(model, config)
    group.copy_from_leader(model)
    optimizer = adamw(model, config.optim)
    decay = config.optim.ema_decay
    samples = dataset.splits["train"]
    sampler = MultiScaleSampler(
        len(samples), config.scale, seed=config.seed, rank=group.rank, world_size=group.world_size
    )
    images = ImageDataset(
        samples,
        task,
        seed=config.seed,
        augment=config.augment,
        preprocessing=spec.preprocessing,
        allow_truncated=config.allow_truncated,
    )
    return Parts(
        config=config,
        task=task,
        dataset=dataset,
        spec=spec,
        model=model,
        ema=Ema(model, decay, warmup=config.optim.ema_warmup) if decay else None,
        optimizer=optimizer,
        step=TrainStep(
            model,
            wrapped(model, config, group, device),
            task,
            optimizer,
            config.optim,
            channel_order=spec.preprocessing.channel_order,
            nominal_count=config.scale.batch_size * config.optim.grad_accum_steps,
            amp_dtype=amp_dtype(config.precision, device),
            group=group,
            class_weights=_class_weights(config, task, dataset, device),
            augment=task.batch_augment(config.augment, len(dataset.classes)),
        ),
        sampler=sampler,
        loader=train_loader(images, sampler, num_workers, device=device.type),
        learning_rate=LearningRate(config.optim, _updates_of_epochs(config, sampler.schedule.steps)),
        group=group,
        device=device,
        num_workers=num_workers,
    )


def _updates_of_epochs(config: TrainConfig, steps: Callable[[int], int]) -> list[int]:
    return [-(-steps(epoch) // config.optim.grad_accum_steps) for epoch in range(config.epochs)]


def _class_weights(config: TrainConfig, task: Task, dataset: Dataset, device: torch.device) -> torch.Tensor | None:
    if not config.optim.class_weights:
        return None
    counts = count(dataset.splits["train"], len(dataset.classes), task.class_counts)
    return torch.tensor(class_weights(counts, dataset.classes), dtype=torch.float32, device=device)


def _facts(parts: Parts, folder: RunFolder) -> dict[str, str]:
    """What a callback is told before the first step."""
    config, samples = parts.config, {name: len(split) for name, split in parts.dataset.splits.items()}
    return {
        "model": f"{config.model}, weights {config.weights}",
        "data": f"{config.data}: {len(parts.dataset.classes)} classes, "
        + ", ".join(f"{count} {name}" for name, count in samples.items()),
        "sizes": ", ".join(f"{size}" for size, _ in parts.sampler.schedule.choices) + " px",
        "device": str(parts.device),
        "run": str(folder.path),
    }
