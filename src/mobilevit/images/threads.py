"""Parallel work in threads; Pillow releases the GIL while decoding, so threads suffice."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Progress = Callable[[int, int], None]  # called with (done, total), from the thread that asked

CHUNK = 64  # items to a future: a million items make no million futures
MAX_THREADS = 16  # beyond, Python's lock is what they wait for


def in_threads(
    work: Callable[[Item], Outcome], items: Sequence[Item], progress: Progress | None = None
) -> list[Outcome]:
    """`work` of each item, in the order of the items. An exception, including Ctrl-C, cancels what has not started."""
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    outcomes: list[Outcome] = []
    executor = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))
    try:
        for part in executor.map(lambda chunk: [work(item) for item in chunk], chunks):
            outcomes += part
            if progress is not None:
                progress(len(outcomes), len(items))
    finally:
        executor.shutdown(cancel_futures=True)
    return outcomes
