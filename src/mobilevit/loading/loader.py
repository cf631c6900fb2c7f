"""From samples on disk to batches: decoding in worker processes, each sample by its Key alone.

Nothing here depends on which worker does it, or when. An image that cannot be decoded travels back as a value and is
raised in the main process, so that the user reads its name and not a worker's traceback.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from mobilevit.datasets.sample import Sample
from mobilevit.errors import ImageError
from mobilevit.images.decoding import OpenImage, opened
from mobilevit.images.transforms import AugmentConfig, Geometry, Size, eval_geometry, pixels_of
from mobilevit.loading.batch import Batch, Item, Key
from mobilevit.loading.cache import ImageCache, KeptImage
from mobilevit.loading.multiscale import MultiScaleSampler
from mobilevit.loading.photometric import distorted
from mobilevit.loading.randomness import generator
from mobilevit.spec import Preprocessing

Collate = Callable[[Sequence[Any]], Any]


class Views(Protocol):
    """What the loader needs of a Task: the target beside its image, in training and in evaluation."""

    def train_geometry(
        self, rng: np.random.Generator, size: Size, target: Any, image_size: int, config: AugmentConfig
    ) -> Geometry: ...

    def transform_target(self, target: Any, geometry: Geometry) -> Any: ...

    def collate(self, targets: Sequence[Any]) -> Any: ...

    def load_target(self, target: Any) -> Any: ...


@dataclass(frozen=True)
class LoadFailure:
    """An image that could not be decoded."""

    message: str


class ImageDataset(TorchDataset["Item | LoadFailure"]):
    """Samples by Key. With `augment` transformed as for training, at the Key's size; without it as for evaluation.

    Images come from the `cache` of the samples if there is one, in evaluation as `eval_geometry` makes them.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        views: Views,
        *,
        seed: int,
        augment: AugmentConfig | None,
        preprocessing: Preprocessing,
        cache: ImageCache | None = None,
        allow_truncated: bool = False,
    ) -> None:
        """`allow_truncated`: as for `OpenImage.decode`, in training alone."""
        assert cache is None or len(cache) == len(samples), "the cache is of other samples"
        self.samples, self.views, self.seed = samples, views, seed
        self.augment, self.preprocessing, self.cache = augment, preprocessing, cache
        self.allow_truncated = allow_truncated

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key) -> Item | LoadFailure:
        sample = self.samples[key.index]
        try:
            if self.augment is not None:
                return self._trained_on(sample, key, self.augment)
            return self._evaluated(sample, key)
        except ImageError as error:
            return LoadFailure(str(error))

    @property
    def collate(self) -> Collate:
        """Of the targets of a batch: the task's in training, a list in evaluation."""
        return list if self.augment is None else self.views.collate

    def _trained_on(self, sample: Sample, key: Key, augment: AugmentConfig) -> Item:
        rng = generator("sample", self.seed, key.epoch, key.index)
        with self._opened(key.index) as source:
            geometry = self.views.train_geometry(rng, source.header.size, sample.target, key.image_size, augment)
            decoded = source.decode(draft_px=geometry.draft_px, allow_truncated=self.allow_truncated)
            image = geometry.image(decoded)
        if augment.photometric:
            image = distorted(image, rng)
        return Item(pixels_of(image), self.views.transform_target(sample.target, geometry), key.index)

    def _evaluated(self, sample: Sample, key: Key) -> Item:
        with self._opened(key.index) as source:
            image = source.decode()
            if self.cache is None:
                image = eval_geometry(source.header.size, self.preprocessing).image(image)
        return Item(pixels_of(image), self.views.load_target(sample.target), key.index)

    def _opened(self, index: int) -> AbstractContextManager[OpenImage | KeptImage]:
        return opened(self.samples[index].path) if self.cache is None else nullcontext(self.cache[index])


def train_loader(
    dataset: ImageDataset, sampler: MultiScaleSampler | Sequence[list[Key]], num_workers: int, *, device: str = "cpu"
) -> "ImageLoader":
    """Batches in the order of the sampler; ask it for another epoch with `sampler.set_epoch` before iterating.

    `device` is the type of the one that they are for.
    """
    return ImageLoader(dataset, sampler, num_workers, device)


def eval_loader(
    dataset: ImageDataset,
    batch_size: int,
    num_workers: int,
    rank: int = 0,
    world_size: int = 1,
    *,
    device: str = "cpu",
) -> "ImageLoader":
    """Every sample once, in order; of several processes each takes its share, which may be one sample shorter."""
    image_size = dataset.preprocessing.image_size
    keys = [Key(index, 0, image_size) for index in range(rank, len(dataset), world_size)]
    batches = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
    return ImageLoader(dataset, batches, num_workers, device)


class ImageLoader(DataLoader[Any]):
    """A DataLoader of Batch that raises ImageError if an image cannot be decoded."""

    def __init__(
        self, dataset: ImageDataset, batches: MultiScaleSampler | Sequence[list[Key]], num_workers: int, device: str
    ) -> None:
        super().__init__(
            dataset,
            batch_sampler=batches,
            num_workers=num_workers,
            collate_fn=partial(_collate, dataset.collate),
            persistent_workers=num_workers > 0,
            pin_memory=device == "cuda",  # only from there can a GPU copy while it computes; others have no use for it
            prefetch_factor=(AHEAD if device == "cuda" else 2) if num_workers else None,
            worker_init_fn=_start_worker,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, LoadFailure):
                # Let the workers go now: held by a traceback until the garbage collector comes, their queues would
                # close before they are told to end, and torch would wait five seconds for each.
                self._iterator = None
                raise ImageError(batch.message)
            yield batch


# Batches that a worker for a GPU may be ahead; torch's own default is 2. The largest batch of the multi-scale sampler
# has four times the images of the smallest (docs/sampler.md): while one worker decodes it, the others are to find more
# work. Each costs the memory of a batch, which is about the same at every size.
AHEAD = 4


def _collate(collate: Collate, items: Sequence[Item | LoadFailure]) -> Batch | LoadFailure:
    good: list[Item] = []
    for item in items:
        if isinstance(item, LoadFailure):
            return item
        good.append(item)
    return Batch(
        torch.from_numpy(np.stack([item.image for item in good])),
        collate([item.target for item in good]),
        torch.tensor([item.index for item in good]),
    )


def _start_worker(_: int) -> None:
    """One thread, since there is a worker for each core; a process group of its own, since the signals that stop a
    run (Ctrl-C, `timeout`) go to whole groups and are the main process's to answer."""
    torch.set_num_threads(1)
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    sys.excepthook = _unless_orphaned


def _unless_orphaned(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """No word of a pipe that broke: the main process was interrupted while it fetched a batch, and has its own say."""
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)
