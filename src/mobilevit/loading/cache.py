"""Decoded images in memory: every file is decoded once, and all worker processes read the same pixels.

What is kept of an image follows from its file and a Geometry, never from who decodes it or when; so a run that goes on
finds in its cache what it had before.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mobilevit.datasets.sample import Sample
from mobilevit.errors import OutOfMemoryError
from mobilevit.images.decoding import ImageHeader, header, opened
from mobilevit.images.threads import Progress, in_threads
from mobilevit.images.transforms import Geometry, Size

KEPT_SHARE = 0.8  # of the free memory that caches may take: the model, its workers and other programs need some too


@dataclass(frozen=True)
class KeptImage:
    """An image of a cache; like an `OpenImage`, whose `header` it has."""

    header: ImageHeader  # of the file
    image: Image.Image  # what is kept of it

    def decode(self, *, draft_px: int | None = None, allow_truncated: bool = False) -> Image.Image:  # noqa: ARG002
        """What is kept, whatever is asked for: it has been reduced as far as it may be."""
        return self.image


class ImageCache:
    """The images of some samples by index, as `Geometry.image` makes them; made by `Plan.fill`."""

    def __init__(self, pixels: Tensor, starts: Sequence[int], sources: Sequence[Size], sizes: Sequence[Size]) -> None:
        """`pixels` (bytes,) uint8: all images one after the other, (H, W, 3) each, from `starts` on."""
        self.pixels = pixels
        self.starts = np.array(starts, dtype=np.int64)  # arrays, of which a worker copies one object and not a million
        self.sources, self.sizes = (np.array(each, dtype=np.int32).reshape(-1, 2) for each in (sources, sizes))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> KeptImage:
        start, (width, height) = int(self.starts[index]), self.sizes[index].tolist()
        pixels = self.pixels[start : start + 3 * width * height].numpy().reshape(height, width, 3)
        source_width, source_height = self.sources[index].tolist()
        return KeptImage(ImageHeader((source_width, source_height), "RGB", ""), Image.fromarray(pixels))


@dataclass(frozen=True)
class Plan:
    """What a cache will hold, known from the headers of the files."""

    samples: Sequence[Sample]
    geometries: Sequence[Geometry]
    allow_truncated: bool = False  # as for `OpenImage.decode`

    @classmethod
    def of(
        cls, samples: Sequence[Sample], geometry_of: Callable[[Size], Geometry], *, allow_truncated: bool = False
    ) -> "Plan":
        """`geometry_of` says from an image's (width, height) what is kept of it. ImageError for a broken file."""
        sizes = in_threads(lambda sample: header(sample.path).size, samples)
        return cls(samples, [geometry_of(size) for size in sizes], allow_truncated)

    @property
    def bytes(self) -> int:
        """Of all images."""
        return sum(self._image_bytes)

    @property
    def _image_bytes(self) -> list[int]:
        return [3 * geometry.output[0] * geometry.output[1] for geometry in self.geometries]

    def fill(self, *, shared: bool, progress: Progress | None = None) -> ImageCache:
        """Decode every image, in threads; ImageError at the first that is broken, in the order of the samples.

        `shared` puts the pixels where worker processes find them, however these are started. `progress` is called with
        (images done, images in all).
        """
        ends = np.cumsum([0, *self._image_bytes]).tolist()
        pixels = torch.empty(ends[-1], dtype=torch.uint8)
        if shared:
            pixels.share_memory_()  # type: ignore[no-untyped-call]
        target = pixels.numpy()

        def keep(index: int) -> None:
            with opened(self.samples[index].path) as source:
                geometry = self.geometries[index]
                decoded = source.decode(draft_px=geometry.draft_px, allow_truncated=self.allow_truncated)
                image = geometry.image(decoded)
            target[ends[index] : ends[index + 1]] = np.asarray(image).reshape(-1)

        in_threads(keep, range(len(self.samples)), progress)
        sources = [geometry.source for geometry in self.geometries]
        return ImageCache(pixels, ends[:-1], sources, [geometry.output for geometry in self.geometries])


def must_fit(plans: Sequence[Plan], *, processes: int, shared: bool) -> None:
    """OutOfMemoryError if the plans, filled in each of `processes` here, take more than KEPT_SHARE of free memory."""
    needed, images = sum(plan.bytes for plan in plans), sum(len(plan.samples) for plan in plans)
    for limit in free_memory(shared=shared):
        if needed * processes > KEPT_SHARE * limit.free_bytes:
            times = f" in each of {processes} processes" if processes > 1 else ""
            raise OutOfMemoryError(
                f"the decoded images do not fit into {limit.name}: {images:,} of them take {in_unit(needed)}{times}, "
                f"but a cache may take at most {KEPT_SHARE:.0%} of the {in_unit(limit.free_bytes)} that are free. "
                f"Train without the cache or at a smaller image size{limit.advice}."
            )


def in_unit(count: float) -> str:
    """A number of bytes as text, in MB or GB."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


class Limit(NamedTuple):
    """A limit of available memory."""

    name: str
    free_bytes: int
    advice: str = ""  # what else can be done where it is too little


def free_memory(*, shared: bool) -> Iterator[Limit]:
    """The memory limits here, as reported by the system. Shared memory has one of its own."""
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.is_file():
        yield Limit("memory", 1024 * _figures(meminfo.read_text())["MemAvailable"])
    if (group / "memory.max").is_file() and (limit := (group / "memory.max").read_text().strip()).isdigit():
        idle = _figures((group / "memory.stat").read_text())["inactive_file"]  # the system gives it up when asked
        used = int((group / "memory.current").read_text()) - idle
        yield Limit("the memory of this container", max(0, int(limit) - used), ", or give the container more memory")
    if shared and SHARED.is_dir():
        advice = ", or without workers, or give the container more of it (docker run --shm-size)"
        yield Limit(f"shared memory ({SHARED})", shutil.disk_usage(SHARED).free, advice)


SHARED = Path("/dev/shm")


def _figures(text: str) -> dict[str, int]:
    """The lines `name value` or `name: value kB`."""
    rows = [line.split() for line in text.splitlines()]
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
