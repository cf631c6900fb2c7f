"""From images to results, with any runner: one image or a million, broken ones among them.

Images are decoded in full, by threads, while the model runs on those before.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobilevit import tasks
from mobilevit.errors import ImageError, UsageError, memory_errors
from mobilevit.formats import Runner
from mobilevit.formats.torch import TorchRunner, without_lost_threads
from mobilevit.images.sources import AnySource, Source, expand
from mobilevit.images.transforms import eval_geometry, pixels_of
from mobilevit.images.video import Frame, Video, locate
from mobilevit.loading.workers import auto_workers
from mobilevit.runners import runner_for
from mobilevit.runtimes import TORCH
from mobilevit.tasks.base import ResultOptions

if TYPE_CHECKING:
    from torch import nn

BATCH_SIZE = 32  # images that the model takes at a time
DRAWN_PX = 1280  # longest side of an image that is kept to be drawn on


@dataclass(frozen=True)
class ImageFailure:
    """An image that could not be read, and why."""

    source: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        return {"source": self.source, "error": self.message}


class Predictor:
    """A model, ready to be asked: `Predictor("best.safetensors")("cat.jpg")[0].best.name`.

    Takes a model file, an exported file, a name of the catalog, a model with a spec (it stays as it is; a fused
    copy runs), or any Runner. Images are paths, folders, patterns, URLs, "-" for standard input, bytes, open
    files, Pillow images, or uint8 RGB arrays (H, W, 3): one of them, or many.

    In a process that was forked it works on the CPU, with one thread.
    """

    def __init__(
        self,
        model: "str | Path | nn.Module | Runner",
        *,
        device: str = "auto",
        batch_size: int = BATCH_SIZE,
        top_k: int | None = None,
        score_threshold: float | None = None,
        image_size: int | None = None,
        runtime: str = TORCH,
    ) -> None:
        """`top_k` and `score_threshold` limit what a result says: see `ResultOptions`. `runtime` is "torch", a format
        that the model file was exported in, or "auto": see `runtimes.chosen`. UsageError where an option is out of
        range."""
        if batch_size < 1:
            raise UsageError(f"the batch size is {batch_size}: it must be 1 or more")
        self._process = os.getpid()
        self.runner = runner_for(model, device=device, image_size=image_size, runtime=runtime)
        self.spec = self.runner.spec
        self.task = tasks.get(self.spec.task)
        self.batch_size, self.limits = batch_size, ResultOptions(top_k, score_threshold)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of the model's outputs."""
        return tuple(label.name for label in self.spec.classes)

    @property
    def columns(self) -> Sequence[str]:
        """The heading of a CSV file of the results' `records()`."""
        return self.task.columns(self.spec, self.limits)

    def __call__(self, images: AnySource | Iterable[AnySource]) -> list[Any]:
        """One Result an image, in order; for a classifier a `Classification`. ImageError at the first broken one."""
        results = []
        for result in self.stream(images):
            if isinstance(result, ImageFailure):
                raise ImageError(result.message)
            results.append(result)
        return results

    def stream(self, images: AnySource | Iterable[AnySource]) -> Iterator[Any | ImageFailure]:
        """Results as they come, in order, with a Failure in place of each image that cannot be read."""
        for _, result in self._run(images, keep=False):
            yield result

    def drawn(self, images: AnySource | Iterable[AnySource]) -> Iterator[tuple[Any, Image.Image] | ImageFailure]:
        """As `stream`, each result with its image, on which it is drawn; large images are reduced."""
        for image, result in self._run(images, keep=True):
            yield result if image is None else (result, self.task.draw(image, result))

    def frames(self, video: str | Path, *, every: int = 1) -> "Iterator[FrameResult]":
        """Results of the frames of a video file, or of a camera ("camera:0"), as they come; of each `every`-th frame.

        ImageError where there is no video that can be read; where a part of it is damaged, after all that could be.
        MissingExtraError without PyAV.
        """
        self._mind_the_fork()
        for frames in _batches(Video(locate(str(video)), every), self.batch_size):
            views = [self._pixels(frame.image) for frame in frames]
            results = self.task.decode(self.runner(np.stack(views)), self.spec, self.limits)
            for frame, result in zip(frames, results, strict=True):
                yield FrameResult(frame, result.of(str(video), frame.image.size))

    def _run(self, images: AnySource | Iterable[AnySource], keep: bool) -> Iterator[tuple[Image.Image | None, Any]]:
        """Results and, where they are kept, images."""
        self._mind_the_fork()
        pool = ThreadPoolExecutor(max(1, auto_workers()), thread_name_prefix="decode")
        try:
            views = in_order(pool, lambda source: self._view(source, keep), expand(images), 2 * self.batch_size)
            while batch := list(islice(views, self.batch_size)):
                yield from self._answers(batch)
        finally:
            pool.shutdown(cancel_futures=True)

    def _mind_the_fork(self) -> None:
        on_cpu = isinstance(self.runner, TorchRunner) and self.runner.device.type == "cpu"
        if os.getpid() != self._process and not on_cpu:
            raise UsageError(
                "this process was forked after the Predictor was made, and the threads or the device of its runtime "
                'stayed behind: make the Predictor in the new process, or start processes by "spawn"'
            )
        without_lost_threads()

    def _view(self, source: Source, keep: bool) -> "View | ImageFailure":
        try:
            with source.lent() as image:
                return View(source.name, image.size, self._pixels(image), _reduced(image) if keep else None)
        except ImageError as error:
            return ImageFailure(source.name, str(error))

    def _pixels(self, image: Image.Image) -> NDArray[np.uint8]:
        return pixels_of(eval_geometry(image.size, self.spec.preprocessing).image(image))

    def _answers(self, batch: "list[View | ImageFailure]") -> Iterator[tuple[Image.Image | None, Any]]:
        views = [view for view in batch if isinstance(view, View)]
        results: Iterator[Any] = iter(())
        if views:
            with memory_errors(
                lambda: f"predict in smaller batches (batch_size is {self.batch_size}), or a smaller size"
            ):
                outputs = self.runner(np.stack([view.pixels for view in views]))
            results = iter(self.task.decode(outputs, self.spec, self.limits))
        for view in batch:
            if isinstance(view, ImageFailure):
                yield None, view
            else:
                yield view.image, next(results).of(view.source, view.size)


@dataclass(frozen=True)
class FrameResult:
    """What is said about one frame of a video: the Result, with the frame's number and time in whatever it says."""

    frame: Frame
    result: Any

    @property
    def source(self) -> str:
        """The video's path, or the camera."""
        return str(self.result.source)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        said = self.result.to_dict()
        return {"source": said.pop("source"), **self._moment(), **said}

    def row(self) -> dict[str, str]:
        """Short texts for a table."""
        said = self.result.row()
        first = next(iter(said))
        return {first: said.pop(first), "frame": str(self.frame.index), "time": _clock(self.frame.seconds), **said}

    def records(self) -> list[dict[str, Any]]:
        """Rows of a CSV file, whose heading has MOMENT as well."""
        return [{**record, **self._moment()} for record in self.result.records()]

    def mask(self) -> Image.Image | None:
        """As the Result's."""
        mask: Image.Image | None = self.result.mask()
        return mask

    def _moment(self) -> dict[str, Any]:
        seconds = self.frame.seconds
        return dict(zip(MOMENT, (self.frame.index, None if seconds is None else round(seconds, 6)), strict=True))


MOMENT = ("frame", "seconds")  # of a video, beside what is said of every image


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{int(seconds // 60)}:{seconds % 60:06.3f}"


FRAMES_AT_A_TIME = 8  # of 4K they take 200 MB


def _batches(video: Video, most: int) -> Iterator[list[Frame]]:
    """Frames, several at a time, but one by one from a camera; what went wrong is raised after those before it."""
    size = 1 if video.is_live else min(most, FRAMES_AT_A_TIME)
    batch: list[Frame] = []
    problem = None
    try:
        for frame in video:
            batch.append(frame)
            if len(batch) == size:
                yield batch
                batch = []
    except ImageError as error:
        problem = error
    if batch:
        yield batch
    if problem is not None:
        raise problem


@dataclass(frozen=True)
class View:
    """What the model sees of an image."""

    source: str
    size: tuple[int, int]  # (width, height) of the whole image
    pixels: NDArray[np.uint8]  # (3, H, W) RGB
    image: Image.Image | None  # to be drawn on


def _reduced(image: Image.Image) -> Image.Image:
    """Hundreds of images may wait at a time: none keeps more than five megabytes."""
    scale = DRAWN_PX / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


Taken = TypeVar("Taken")
Given = TypeVar("Given")


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Taken], Given], items: Iterable[Taken], ahead: int
) -> Iterator[Given]:
    """As `map`, in threads that work at most `ahead` items before the one that is asked for."""
    pending: deque[Future[Given]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def predict(
    model: "str | Path | nn.Module | Runner",
    images: AnySource | Iterable[AnySource],
    *,
    device: str = "auto",
    batch_size: int = BATCH_SIZE,
    top_k: int | None = None,
    score_threshold: float | None = None,
    image_size: int | None = None,
    runtime: str = TORCH,
) -> list[Any]:
    """One Result an image: a `Predictor` for a single use. ImageError at the first image that cannot be read."""
    predictor = Predictor(
        model,
        device=device,
        batch_size=batch_size,
        top_k=top_k,
        score_threshold=score_threshold,
        image_size=image_size,
        runtime=runtime,
    )
    return predictor(images)
