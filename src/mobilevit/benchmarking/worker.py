"""One runtime in a process of its own, that runs when it is asked to and tells what it took.

In one process the threads that one runtime leaves spinning would slow the next, and nobody could tell whose the memory
is.
"""

import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from mobilevit.errors import MobileViTError
from mobilevit.formats.table import open_exported
from mobilevit.runners import runner_for
from mobilevit.text import words_of

WARM_UP = 3  # passes that do not count


@dataclass(frozen=True)
class Job:
    """What to run and how."""

    runtime: str
    path: Path  # a model file for PyTorch, else an exported file
    threads: int
    image_size: int


class Worker:
    """A process that holds a runtime; use it in a `with` block."""

    def __init__(self, job: Job) -> None:
        self.job = job
        context = _context()
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(job, theirs), daemon=True)
        self._process.start()
        self.load_ms: float = self._answer()

    def run(self, batch_size: int, passes: int) -> list[float]:
        """Milliseconds of each pass over a batch of images."""
        self._ours.send((batch_size, passes))
        times: list[float] = self._answer()
        return times

    def peak_mib(self) -> float | None:
        """The most memory that the process has had; None on Windows."""
        self._ours.send(None)
        peak: float | None = self._answer()
        return peak

    def _answer(self) -> Any:
        try:
            answer = self._ours.recv()
        except EOFError:
            raise MobileViTError(f"{self.job.runtime} ended without a word: is there enough memory?") from None
        if isinstance(answer, str):
            raise MobileViTError(f"{self.job.runtime}: {answer}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ours.close()
        self._process.join(timeout=5)
        self._process.terminate()


def _context() -> SpawnContext | ForkServerContext:
    """Processes that inherit neither the threads of this one nor its memory. On Linux they are forks of a server that
    has imported PyTorch and done nothing since: else each would take seconds to import it again."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _serve(job: Job, connection: Connection) -> None:
    try:
        torch.set_num_threads(job.threads)
        started = time.perf_counter()
        if job.runtime == "torch":
            runner = runner_for(job.path, device="cpu", image_size=job.image_size)
        else:
            runner = open_exported(job.path, threads=job.threads, image_size=job.image_size)
        connection.send((time.perf_counter() - started) * 1000)
        warm: set[int] = set()
        while True:
            asked = connection.recv()
            if asked is None:
                connection.send(_peak_mib())
                continue
            batch_size, passes = asked
            images = _images(batch_size, job.image_size)
            for _ in range(0 if batch_size in warm else WARM_UP):
                runner(images)
            warm.add(batch_size)
            times = []
            for _ in range(passes):
                began = time.perf_counter()
                runner(images)
                times.append((time.perf_counter() - began) * 1000)
            connection.send(times)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
    except Exception as error:
        connection.send(words_of(error))


def _images(count: int, image_size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 3, image_size, image_size), np.uint8)


def _peak_mib() -> float | None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
