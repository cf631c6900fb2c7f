"""Which images a run keeps in memory, and at which size."""

from dataclasses import replace
from functools import partial

from mobilevit.datasets.sample import Dataset
from mobilevit.images.transforms import Geometry, Size, eval_geometry, kept_geometry
from mobilevit.loading.cache import Plan, in_unit, must_fit
from mobilevit.loading.loader import ImageDataset
from mobilevit.loading.multiscale import resolutions
from mobilevit.spec import Preprocessing
from mobilevit.tasks.base import Task
from mobilevit.training.callbacks import Callback
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.loop import Parts


def keep_images(parts: Parts, callback: Callback) -> Parts:
    """The parts with their images cached in memory, if the configuration asks for it; before the first epoch.

    ImageError if a file is broken, OutOfMemoryError if the images do not fit into memory.
    """
    config = replace(parts.config, num_workers=parts.num_workers)
    plans = fitting_plans(config, parts.task, parts.dataset, parts.spec.preprocessing, parts.group)
    if not plans:
        return parts
    count, total = sum(len(plan.samples) for plan in plans.values()), sum(plan.bytes for plan in plans.values())
    callback.notice(f"decoding {count:,} images into {in_unit(total)} of memory")
    caches = {name: plan.fill(shared=parts.num_workers > 0, progress=callback.checking) for name, plan in plans.items()}
    dataset = parts.loader.dataset
    assert isinstance(dataset, ImageDataset), "a run's loader is over images"
    dataset.cache = caches["train"]
    return replace(parts, val_cache=caches["val"])


def fitting_plans(
    config: TrainConfig, task: Task, dataset: Dataset, preprocessing: Preprocessing, group: Group
) -> dict[str, Plan]:
    """What the run keeps of its images, by split; nothing where it keeps none. OutOfMemoryError where it is too much.

    To train on an image is kept as large as the largest of the sampler's sizes has use for; to validate on, as it is
    evaluated.
    """
    if config.cache == "none":
        return {}
    plans = {
        "train": Plan.of(
            dataset.splits["train"], training_geometry(config, task), allow_truncated=config.allow_truncated
        ),
        "val": Plan.of(dataset.splits["val"], partial(eval_geometry, preprocessing=preprocessing)),
    }
    must_fit(list(plans.values()), processes=group.local_size, shared=config.num_workers != 0)
    group.gather(None)  # every process has looked at the free memory before the first one takes of it
    return plans


def training_geometry(config: TrainConfig, task: Task) -> "partial[Geometry]":
    """What a run keeps of a training image, by the image's (width, height)."""
    return partial(_kept, task=task, config=config, largest_px=resolutions(config.scale)[-1].image_size)


def _kept(size: Size, *, task: Task, config: TrainConfig, largest_px: int) -> Geometry:
    return kept_geometry(size, task.smallest_crop(size, config.augment), largest_px)
