"""Models and exported files that take turns, each in a process of its own, as in use: whatever else the machine does
falls on all, and none finds another's memory or threads."""

import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch
from torch import Tensor

Step = Callable[[], object]  # one pass
Prepared = tuple[Tensor, Step]  # what a pass gives, and the passes to time
WARM_UP = 3  # passes that do not count


class Player:
    """A process that waits for its turn; use it in a `with` block."""

    def __init__(self, prepare: Callable[[], Prepared], threads: int, passes: int) -> None:
        """`prepare` runs in the process, which imports it by name; the time of a turn is the median of its passes."""
        context = get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_play, args=(other_end, prepare, threads, passes), daemon=True)
        self.times_ms: list[float] = []

    def __enter__(self) -> "Player":
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()

    def output(self) -> Tensor:
        """What a pass gives; to be asked for once, before the turns."""
        return torch.tensor(self.pipe.recv())

    def take_turn(self) -> None:
        self.pipe.send("go")
        self.times_ms.append(self.pipe.recv())


def ratio(base: Player, other: Player) -> float:
    """How many times as long `base` takes: the median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(base.times_ms, other.times_ms, strict=True))


def _play(pipe: Connection, prepare: Callable[[], Prepared], threads: int, passes: int) -> None:
    torch.set_num_threads(threads)
    output, step = prepare()
    pipe.send(output.tolist())
    for _ in range(WARM_UP):
        step()
    while pipe.recv():
        step()  # the caches are another's
        pipe.send(statistics.median(_milliseconds(step) for _ in range(passes)))


def _milliseconds(step: Step) -> float:
    start_s = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - start_s)
