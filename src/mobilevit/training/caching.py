"""Which images a run keeps in memory, and at which size."""

from functools import partial

from mobilevit.data.cache import ImageCache, Plan, in_gb, must_fit
from mobilevit.data.multiscale import resolutions
from mobilevit.data.sample import Dataset
from mobilevit.data.transforms import Geometry, Size, eval_geometry, kept_geometry
from mobilevit.spec import Preprocessing
from mobilevit.tasks.base import Task
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.watching import Watcher


def image_caches(
    config: TrainConfig, task: Task, dataset: Dataset, preprocessing: Preprocessing, group: Group, watcher: Watcher
) -> dict[str, ImageCache | None]:
    """The caches of "train" and "val", None where files are decoded anew every time.

    PictureError where a file is broken, OutOfMemoryError where the images do not fit into memory.
    """
    plans = fitting_plans(config, task, dataset, preprocessing, group)
    if not plans:
        return {"train": None, "val": None}
    count, total = sum(len(plan.samples) for plan in plans.values()), sum(plan.bytes for plan in plans.values())
    watcher.notice(f"decoding {count:,} images into {in_gb(total)} of memory")
    return {split: plan.fill(shared=config.workers != 0) for split, plan in plans.items()}


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
        "train": Plan.of(dataset.splits["train"], training_geometry(config, task)),
        "val": Plan.of(dataset.splits["val"], partial(eval_geometry, preprocessing=preprocessing)),
    }
    must_fit(list(plans.values()), processes=group.local_size, shared=config.workers != 0)
    group.gather(None)  # every process has looked at the free memory before the first one takes of it
    return plans


def training_geometry(config: TrainConfig, task: Task) -> "partial[Geometry]":
    """What a run keeps of a training image, by the image's (width, height)."""
    return partial(_kept, task=task, config=config, largest_px=resolutions(config.scale)[-1].size_px)


def _kept(size: Size, *, task: Task, config: TrainConfig, largest_px: int) -> Geometry:
    return kept_geometry(size, task.smallest_crop(size, config.augment), largest_px)
