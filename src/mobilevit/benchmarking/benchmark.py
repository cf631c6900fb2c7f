"""`benchmark`: every runtime in turn, again and again, so that whatever else the machine does falls on all alike."""

import os
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mobilevit.benchmarking.worker import Job, Worker
from mobilevit.errors import UsageError
from mobilevit.formats.manifest import read_manifest
from mobilevit.formats.table import FORMATS
from mobilevit.runners import runner_for
from mobilevit.runtimes import TORCH, Ranking, exported_beside, this_machine

PASSES = 5  # in a turn
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class RuntimeTiming:
    """One runtime with one number of threads, batch 1 where nothing else is said."""

    runtime: str
    precision: str
    threads: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    images_per_second: dict[int, float]  # by batch size
    load_ms: float
    peak_mib: float | None  # of the process, with Python and PyTorch in it; None on Windows
    file_mib: float
    path: str


@dataclass(frozen=True)
class Benchmark:
    """What was measured."""

    model: str
    image_size: int
    runs: int
    machine: dict[str, str]
    rows: tuple[RuntimeTiming, ...]

    @property
    def recommendation(self) -> str:
        """One sentence for people."""
        best = min(self.rows, key=lambda row: row.median_ms)
        base = next(row for row in self.rows if (row.runtime, row.threads) == (TORCH, best.threads))
        if best.runtime == TORCH:
            return f"Stay with PyTorch: nothing that was measured is faster than its {base.median_ms:.1f} ms."
        ratio = base.median_ms / best.median_ms
        return (
            f"Run {best.path} with {best.threads} thread{'s' if best.threads > 1 else ''}: {best.median_ms:.1f} ms an "
            f"image, {ratio:.2f} times as fast as PyTorch."
        )

    def ranking(self) -> Ranking:
        """The best median of each runtime, over all numbers of threads; 8-bit files, which answer a little differently,
        run where they are asked for alone."""
        best: dict[str, float] = {}
        for row in (row for row in self.rows if row.precision != "int8"):
            best[row.runtime] = min(row.median_ms, best.get(row.runtime, row.median_ms))
        return Ranking(this_machine(), best)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"recommendation": self.recommendation}


def benchmark(
    model: str | Path,
    exported_models: Sequence[str | Path] = (),
    *,
    threads: Sequence[int] = (),
    runs: int = 100,
    batch_sizes: Sequence[int] = (1, 8),
    image_size: int | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Time a model file in PyTorch and exported files in their runtimes, on images of noise in memory.

    Without `exported_models` those that lie beside the model. `threads` empty: one, and as many as there are cores.
    Each runtime has a process of its own; they take turns of PASSES passes. Decoding is not part of it. `image_size`
    None: the size of the exported files, or of the model.

    UsageError where an option is out of range, the files are of different sizes or were not exported for `image_size`;
    WeightsError where one cannot be opened.
    """
    threads = tuple(threads) or tuple(dict.fromkeys((1, os.cpu_count() or 1)))
    if runs < 1 or min(threads) < 1 or not batch_sizes or min(batch_sizes) < 1:
        raise UsageError("--runs, --threads and --batch-sizes are whole numbers from 1 up")
    paths = [Path(path) for path in exported_models] or _that_run(exported_beside(Path(model)))
    for path in paths:
        _must_run(path)
    image_size = _common_size(model, paths, image_size)
    measured: list[RuntimeTiming] = []
    for count in threads:
        jobs = [Job(TORCH, Path(model), count, image_size)]
        jobs += [Job(read_manifest(path).format, path, count, image_size) for path in paths]
        measured += _turns(jobs, runs, batch_sizes, progress)
    machine = this_machine() | {
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    return Benchmark(str(model), image_size, runs, machine, tuple(measured))


def _that_run(exported_models: Mapping[str, Path]) -> list[Path]:
    """Those whose runtime is on this system: what only evaluates them elsewhere has no speed worth a word."""
    return [path for name, path in exported_models.items() if FORMATS[name].runs_here]


def _must_run(path: Path) -> None:
    row = FORMATS.get(read_manifest(path).format)
    if row is not None and not row.runs_here:
        raise UsageError(f"{path} cannot be timed here: {row.title} runs on {row.system} alone")


def _common_size(model: str | Path, paths: Sequence[Path], image_size: int | None) -> int:
    """The size of the exported files' images, or the model's own where there are none, unless one is asked for."""
    sizes = {path: read_manifest(path).at(image_size).spec.preprocessing.image_size for path in paths}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{path} {side} px" for path, side in sizes.items())
        raise UsageError(f"the exported files take images of different sizes: {said}")
    if sizes:
        return next(iter(sizes.values()))
    return runner_for(model, device="cpu", image_size=image_size).spec.preprocessing.image_size


def _turns(
    jobs: Sequence[Job], runs: int, batch_sizes: Sequence[int], progress: Progress | None
) -> Iterator[RuntimeTiming]:
    with ExitStack() as stack:
        num_workers = [stack.enter_context(Worker(job)) for job in jobs]
        times = in_turns(num_workers, runs, progress)
        for worker in num_workers:
            yield _row(worker, times[worker.job], batch_sizes)


def in_turns(num_workers: Sequence[Worker], runs: int, progress: Progress | None = None) -> dict[Job, list[float]]:
    """Milliseconds of at least `runs` passes of each over one image."""
    times: dict[Job, list[float]] = {worker.job: [] for worker in num_workers}
    rounds = -(-runs // PASSES)
    for number in range(rounds):
        for worker in num_workers:
            times[worker.job] += worker.run(1, PASSES)
        if progress is not None:
            progress(number + 1, rounds)
    return times


def _row(worker: Worker, times: list[float], batch_sizes: Sequence[int]) -> RuntimeTiming:
    job = worker.job
    cuts = statistics.quantiles(times, n=100, method="inclusive") if len(times) > 1 else times * 99
    batches = {size: times if size == 1 else worker.run(size, PASSES) for size in batch_sizes}
    return RuntimeTiming(
        runtime=job.runtime,
        precision="fp32" if job.runtime == TORCH else read_manifest(job.path).precision,
        threads=job.threads,
        median_ms=statistics.median(times),
        p90_ms=cuts[89],
        p99_ms=cuts[98],
        images_per_second={size: 1000 * size / statistics.median(batch) for size, batch in batches.items()},
        load_ms=worker.load_ms,
        peak_mib=worker.peak_mib(),
        file_mib=_mib(job.path),
        path=str(job.path),
    )


def _mib(path: Path) -> float:
    """Of a file or a folder; 0 for a name of the catalog."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file()) / 2**20
