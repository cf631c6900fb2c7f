"""A task's metric over a split of a dataset, with any runner. Training validates through the very same function."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from torch import nn

from mobilevit import class_tables, tasks
from mobilevit.datasets import doctor
from mobilevit.datasets.finding import counted, listed
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.errors import DataError, MobileViTError, UsageError, memory_errors
from mobilevit.files import make_folder, write_atomically
from mobilevit.formats import Runner
from mobilevit.formats.table import is_exported
from mobilevit.formats.torch import TorchRunner
from mobilevit.loading.cache import ImageCache
from mobilevit.loading.loader import ImageDataset, eval_loader
from mobilevit.loading.workers import auto_workers
from mobilevit.runners import runner_for
from mobilevit.runtimes import TORCH
from mobilevit.spec import ClassLabel, Criterion, ModelSpec, ScoreThreshold
from mobilevit.tasks.base import Metric, Scores, Task
from mobilevit.text import printable, to_json
from mobilevit.weights import model_file

log = logging.getLogger("mobilevit")

Progress = Callable[[int, int], None]  # images done, images in all
ALL = "all"  # in place of a split: the images of every split
PLOT_DPI = 144  # of the PNG files


@dataclass(frozen=True)
class Evaluation:
    """How a model did on a split."""

    metric: Metric
    spec: ModelSpec
    data: Path
    split: str
    images: int
    classes_present: int  # of the model's classes, those that the dataset has
    seconds: float  # from the first image asked for to the last one scored
    model_seconds: float  # of these, in the model

    @property
    def images_per_second(self) -> float:
        """With decoding."""
        return self.images / self.seconds

    @cached_property
    def scores(self) -> Scores:
        return self.metric.compute()

    def threshold(self, criterion: Criterion) -> ScoreThreshold | None:
        """The score threshold that meets a criterion best here; None where the task has none, or nothing was right."""
        chosen = self.scores.threshold(criterion)
        name = printable(self.data.resolve().name)
        return chosen and replace(chosen, dataset=name, split=self.split, images=self.images)

    def told_above(self, threshold: ScoreThreshold) -> "Evaluation":
        """The same, of the model with another score threshold: nothing runs again."""
        spec = replace(self.spec, score_threshold=threshold)
        metric = tasks.get(spec.task).metric(spec)
        metric.merge(self.metric)
        return replace(self, spec=spec, metric=metric)

    @property
    def score(self) -> float:
        """The main score; DataError where the split has nothing to measure it on."""
        value = self.scores.primary[1]
        if value is None:
            raise DataError(self.unmeasured)
        return value

    @property
    def unmeasured(self) -> str:
        """Why the main score is None, where it is."""
        name, counted = self.scores.primary[0], tasks.get(self.spec.task).counted
        return f"{name} could not be measured: {self.split} of {printable(self.data)} has no {counted} to measure it on"

    @property
    def summary(self) -> str:
        """One line for people: "1,000 images of DATA (val), 10 of 1,000 classes, 493 images a second"."""
        known = len(self.spec.classes)
        present = f"all {known:,}" if self.classes_present == known else f"{self.classes_present:,} of {known:,}"
        speed = f"{self.images_per_second:,.0f} images a second"
        return f"{counted(self.images, 'image')} of {printable(self.data)} ({self.split}), {present} classes, {speed}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "architecture": self.spec.architecture,
            "task": self.spec.task,
            "data": str(self.data),
            "split": self.split,
            "images": self.images,
            "image_size": self.spec.preprocessing.image_size,
            "classes": len(self.spec.classes),
            "classes_present": self.classes_present,
            "seconds": round(self.seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
            "images_per_second": round(self.images_per_second, 2),
            "scores": self.scores.to_dict(),
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write evaluation.json, what the scores have for machines, and every plot as PNG; the paths written."""
        folder = make_folder(Path(folder))
        contents: dict[str, str | bytes] = {"evaluation.json": to_json(self.to_dict(), indent=2)}
        contents |= self.scores.files()
        for title, figure in self.scores.plots().items():
            contents[f"{title.lower()}.png"] = figure.png(PLOT_DPI)
        for name, content in contents.items():
            write_atomically(folder / name, content)
        return [folder / name for name in contents]


class NotStoredError(DataError):
    """No score threshold could be stored. `evaluation` is what was found all the same."""

    evaluation: Evaluation


def evaluate(
    model: str | Path | nn.Module | Runner,
    data: Path | str,
    *,
    split: str = "val",
    device: str = "auto",
    batch_size: int = 64,
    num_workers: int | None = None,
    image_size: int | None = None,
    runtime: str = "torch",
    read_options: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    skip_broken: bool = False,
    store_threshold: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a model on the dataset at `data`.

    `split` is one that the dataset has, or "all"; the log says where val comes from, if not from a folder of that
    name. `skip_broken` leaves out what cannot be decoded, which else is an ImageError, and the log counts it.
    `image_size` evaluates at another size than the model's own; the short side before the crop keeps its ratio to it.
    `store_threshold` is "f1", "precision=0.95" or "recall=0.9": the score threshold that meets it best is written into
    the model file, for predictions; scores other than the mistakes do not depend on it.
    A score that the split has nothing to measure on, such as boxes, is None, and the log says so.
    The dataset may lack classes of the model, not have others: DataError, which shows the difference. UsageError for
    a batch size or a number of workers out of range, and for a model that takes no threshold. NotStoredError, which has
    the evaluation, where none meets `store_threshold` or the file cannot be written; it stays as it was then.
    """
    if batch_size < 1 or (num_workers is not None and num_workers < 0):
        raise UsageError(f"batch size {batch_size}, workers {num_workers}: take 1 or more images, 0 or more workers")
    runner = runner_for(model, device=device, image_size=image_size, runtime=runtime)
    task = tasks.get(runner.spec.task)
    criterion = None if store_threshold is None else Criterion.parse(store_threshold)
    if criterion is not None:
        _must_take_threshold(model, task, changed=image_size is not None or runtime != TORCH)
    dataset = task.read(Path(data), read_options)
    if split == "val":
        for finding in task.check(dataset, thorough=False):
            if finding.kind == "split":
                log.info("note: %s; --split all takes every image", finding.message)
    if skip_broken:
        dataset = _readable(task, dataset, split)
    num_workers = auto_workers(device=_device_of(runner)) if num_workers is None else num_workers
    with memory_errors(
        lambda: f"evaluate in smaller batches (batch_size is {batch_size}), or images of a smaller size"
    ):
        evaluation = evaluate_runner(
            runner, task, dataset, split, batch_size=batch_size, num_workers=num_workers, progress=progress
        )
    if evaluation.scores.primary[1] is None:
        log.warning("note: %s", evaluation.unmeasured)
    return evaluation if criterion is None else _stored(evaluation, criterion, Path(cast(str | Path, model)))


def _must_take_threshold(model: object, task: Task, *, changed: bool) -> None:
    """UsageError where no score threshold can be stored; before the work."""
    if "score_threshold" not in task.interface.thresholds:
        raise UsageError(f"a model for {task.name} tells everything, whatever its score: it has no threshold to store")
    if not isinstance(model, str | Path) or is_exported(model) or not Path(model).is_file():
        raise UsageError(
            f"a threshold is stored in a model file, and {model} is none: give one such as best.safetensors"
        )
    if changed:
        raise UsageError("a threshold is stored for the model as it is: leave out --image-size and --runtime")
    model_file.load(model)


def _stored(found: Evaluation, criterion: Criterion, path: Path) -> Evaluation:
    """With the threshold that was chosen, once it is in the model file. NotStoredError: the scores took long."""
    try:
        threshold = found.threshold(criterion)
        if threshold is None:
            raise DataError(
                f"on the split '{found.split}' of {found.data} no object was found, or none is there, so there is "
                "nothing to choose it by"
            )
        model_file.rewrite(path, replace(found.spec, score_threshold=threshold))
    except MobileViTError as error:
        failure = NotStoredError(f"no threshold is stored: {error}")
        failure.evaluation = found
        raise failure from error
    return found.told_above(threshold)


def evaluate_runner(
    runner: Runner,
    task: Task,
    dataset: Dataset,
    split: str,
    *,
    batch_size: int,
    num_workers: int,
    rank: int = 0,
    world_size: int = 1,
    cache: ImageCache | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a runner on a split; of several processes each takes its share, and their metrics are to be merged.

    `cache` has the images of the split, as the runner's preprocessing wants them.
    """
    samples = samples_of(in_order_of(runner.spec.classes, dataset, task), split)
    preprocessing, device = runner.spec.preprocessing, _device_of(runner)
    images = ImageDataset(samples, task, seed=0, augment=None, preprocessing=preprocessing, cache=cache)
    share = len(range(rank, len(samples), world_size))
    metric = task.metric(runner.spec)
    started, model_seconds, done = time.perf_counter(), 0.0, 0
    for batch in eval_loader(images, batch_size, num_workers, rank, world_size, device=device):
        asked = time.perf_counter()
        outputs = runner(batch.images.numpy())
        model_seconds += time.perf_counter() - asked
        metric.update(outputs, batch.targets, batch.indices.numpy())
        done += len(batch.indices)
        if progress is not None:
            progress(done, share)
    return Evaluation(
        metric=metric,
        spec=runner.spec,
        data=dataset.root,
        split=split,
        images=done,
        classes_present=len(dataset.classes),
        seconds=time.perf_counter() - started,
        model_seconds=model_seconds,
    )


def _device_of(runner: Runner) -> str:
    """The type of the device that the runner moves images to; the runtimes of exported files take them on the CPU."""
    return runner.device.type if isinstance(runner, TorchRunner) else "cpu"


def _readable(task: Task, dataset: Dataset, split: str) -> Dataset:
    """That split alone, without the images that cannot be decoded."""
    readable, findings = doctor.without_broken(task, replace(dataset, splits={split: samples_of(dataset, split)}))
    for finding in findings:
        log.warning("note: %s", finding.message)
    return readable


def in_order_of(classes: Sequence[ClassLabel], dataset: Dataset, task: Task) -> Dataset:
    """The dataset with its targets counted in the model's `classes`, matched by id or name."""
    if tuple(classes) == dataset.classes:
        return dataset
    by_id = class_tables.match([label.id for label in dataset.classes], classes)
    by_name = class_tables.match([label.name for label in dataset.classes], classes)
    found = [first if first is not None else second for first, second in zip(by_id, by_name, strict=True)]
    mapping = [index for index in found if index is not None]
    if len(mapping) < len(found) or len(set(mapping)) < len(mapping):
        raise DataError(_difference(classes, dataset, found))
    splits = {
        split: tuple(replace(sample, target=task.relabel(sample.target, mapping)) for sample in samples)
        for split, samples in dataset.splits.items()
    }
    return replace(dataset, classes=tuple(classes), splits=splits)


def _difference(classes: Sequence[ClassLabel], dataset: Dataset, found: Sequence[int | None]) -> str:
    """What each side has that the other lacks, and classes of the data that mean the same one."""
    unknown = [label.id for label, index in zip(dataset.classes, found, strict=True) if index is None]
    missing = [label.name for index, label in enumerate(classes) if index not in found]
    folders: dict[int, list[str]] = {}
    for label, index in zip(dataset.classes, found, strict=True):
        if index is not None:
            folders.setdefault(index, []).append(label.id)
    twice = [f"{' and '.join(ids)} ({classes[index].name})" for index, ids in folders.items() if len(ids) > 1]
    parts = [
        (unknown, "in the data alone"),
        (missing, "in the model alone"),
        (twice, "in the data under several names"),
    ]
    shown = "; ".join(f"{counted(len(names), 'class')} {where}: {listed(names)}" for names, where in parts if names)
    return (
        f"the classes of {dataset.root} are not those of the model. {shown}. "
        "Give the data the ids or names of the model's classes, or evaluate a model of these classes."
    )


def samples_of(dataset: Dataset, split: str) -> tuple[Sample, ...]:
    """The samples of a split, or of all; DataError where there are none."""
    if split == ALL:
        return tuple(sample for samples in dataset.splits.values() for sample in samples)
    if split not in dataset.splits:
        rule = " (a test folder without a val folder beside it is read as val)" if split == "test" else ""
        splits = ", ".join(dataset.splits)
        raise DataError(f"{dataset.root} has no split '{split}'{rule}: choose between {splits} and {ALL}")
    if not dataset.splits[split]:
        raise DataError(f"the split '{split}' of {dataset.root} has no images")
    return dataset.splits[split]
