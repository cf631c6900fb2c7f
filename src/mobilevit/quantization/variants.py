"""A model made smaller in several ways, each of them scored and timed beside the file that it was made of."""

import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from mobilevit.benchmarking.benchmark import in_turns
from mobilevit.benchmarking.worker import Job, Worker
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import MobileViTError
from mobilevit.evaluation import Evaluation, evaluate_runner
from mobilevit.exporting.manifests import manifest_of
from mobilevit.files import write_atomically
from mobilevit.formats import Runner
from mobilevit.formats.graph import Graph
from mobilevit.formats.manifest import manifest_path
from mobilevit.formats.quiet_libraries import refusal_of
from mobilevit.formats.running import ExportedRunner
from mobilevit.formats.table import FORMATS, adapter, open_exported
from mobilevit.loading.workers import auto_workers
from mobilevit.quantization.images import CHOOSING, calibration
from mobilevit.quantization.table import Choice, Source
from mobilevit.tasks.base import Task

log = logging.getLogger("mobilevit")

INT8 = "int8"
BATCH = 32  # images that are scored at a time

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


@dataclass(frozen=True)
class Variant:
    """One file, measured."""

    choice: str  # for the file that the others were made of: its precision
    score: float  # 0-1, the main score on the choosing images
    loss: float  # points below the model's
    size_bytes: int
    latency_ms: float | None = None  # of one image, median; None where this system lacks the runtime


@dataclass(frozen=True)
class VariantSearch:
    """The files of one format, in a folder of their own; `data` has the splits of `images`."""

    format: str
    task: Task
    graph: Graph
    data: Dataset
    folder: Path
    progress: Progress | None = None

    @property
    def title(self) -> str:
        return FORMATS[self.format].title

    def path(self, choice: str) -> Path:
        return self.folder / f"{choice}{FORMATS[self.format].suffix}"

    def run(self, choices: Mapping[str, Choice], reference: Runner, *, threads: int, runs: int) -> list[Variant]:
        """The file that is made smaller, and what every choice made of it; left out is what the runtime refuses.

        Scores are compared with those of `reference`, the model.
        """
        score = self.score(reference, CHOOSING, "the model").score
        base = FORMATS[self.format].precisions[0]
        self._write(base, base, lambda path: adapter(self.format).write(self.graph, path, base))
        source = Source(self.graph, self.path(base), calibration(self.data, self.task, self.graph.spec.preprocessing))
        found = [self._scored(base, score)]
        for name, choice in choices.items():
            try:
                self._write(name, INT8, partial(choice, source))
                found.append(self._scored(name, score))
            except MobileViTError as error:
                log.warning("'%s' is left out: %s", name, error)
        times = self._latencies([variant.choice for variant in found], threads, runs)
        return [replace(variant, latency_ms=times.get(variant.choice)) for variant in found]

    def _write(self, name: str, precision: str, write: Callable[[Path], None]) -> None:
        """The file of that name, with its manifest."""
        self.tell(f"making {name}", 0, 1)
        path = self.path(name)
        with refusal_of(self.title, path), own_log():
            write(path)
        manifest = manifest_of(self.task, self.graph, self.format, precision, path)
        write_atomically(manifest_path(path), manifest.to_json())

    def _scored(self, name: str, reference: float) -> Variant:
        score = self.score(self.runner(name), CHOOSING, name).score
        return Variant(name, score, 100 * (reference - score), size_of(self.path(name)))

    def runner(self, choice: str) -> ExportedRunner:
        return cast(ExportedRunner, open_exported(self.path(choice)))

    def score(self, runner: Runner, split: str, name: str) -> Evaluation:
        """How good a runner is on a split of the data."""
        return evaluate_runner(
            runner,
            self.task,
            self.data,
            split,
            batch_size=BATCH,
            num_workers=auto_workers(),
            progress=lambda done, total: self.tell(f"scoring {name}", done, total),
        )

    def _latencies(self, names: Sequence[str], threads: int, runs: int) -> dict[str, float]:
        """Median milliseconds of each, in turns; nothing where the runtime is not on this system."""
        if not FORMATS[self.format].runs_here:
            return {}
        jobs = [Job(self.format, self.path(name), threads, self.graph.image_size) for name in names]
        with ExitStack() as stack:
            num_workers = [stack.enter_context(Worker(job)) for job in jobs]
            times = in_turns(num_workers, runs, lambda done, total: self.tell("timing", done, total))
        return {name: statistics.median(times[job]) for name, job in zip(names, jobs, strict=True)}

    def tell(self, what: str, done: int, total: int) -> None:
        """Whoever wants to know."""
        if self.progress is not None:
            self.progress(what, done, total)


@contextmanager
def own_log() -> Iterator[None]:
    """Whatever the tools hang on the root of all logs goes again: else our lines would come twice."""
    root = logging.getLogger()
    handlers = [*root.handlers]
    try:
        yield
    finally:
        root.handlers[:] = handlers


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
