"""`mobilevit benchmark MODEL [EXPORTED MODELS...]`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.benchmarking.benchmark import Benchmark, RuntimeTiming, benchmark
from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Model, numbers, parse
from mobilevit.files import make_folder, write_atomically
from mobilevit.runtimes import write_ranking
from mobilevit.text import to_json


@dataclass(frozen=True)
class BenchmarkOptions(CommandOptions):
    """Measure latency and throughput of a model in PyTorch and in every runtime it was exported for."""

    model: Model  # model file, or a catalog name
    # exported models; if none is given, those beside the model file
    exported_models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="EXPORTED")] = ()
    threads: str = ""  # numbers of threads, comma-separated; empty: 1 and the number of cores
    batch_sizes: str = "1,8"  # batch sizes to measure throughput with, comma-separated
    runs: int = 100  # timed runs of each model
    image_size: int | None = None  # model input side in pixels; None: that of the exported models, or the model's own
    output: Path | None = None  # folder for benchmark.json and a chart
    json: bool = False  # print all results as JSON on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(BenchmarkOptions, "benchmark", arguments)
    with console.bar() as bar:
        shown = bar.add_task("timing", total=None)
        found = benchmark(
            options.model,
            options.exported_models,
            threads=numbers("threads", options.threads),
            runs=options.runs,
            batch_sizes=numbers("batch-sizes", options.batch_sizes),
            image_size=options.image_size,
            progress=lambda done, total: bar.update(shown, completed=done, total=total),
        )
    if options.json:
        console.print_json(found.to_dict())
    else:
        _show(found)
    if options.output:
        console.wrote(_save(found, options.output))
    if Path(options.model).is_file():
        console.wrote([write_ranking(Path(options.model), found.ranking())])
    return 0


def _show(found: Benchmark) -> None:
    out = console.results()
    out.print(console.table([_cells(row) for row in found.rows]))
    machine = ", ".join(f"{name} {value}" for name, value in found.machine.items() if name != "node")
    out.print(f"\n{found.image_size} px, {found.runs} passes each, in turns; {machine}")
    out.print(found.recommendation)


def _cells(row: RuntimeTiming) -> dict[str, object]:
    return {
        "runtime": row.runtime,
        "precision": row.precision,
        "threads": str(row.threads),
        "median ms": f"{row.median_ms:.2f}",
        "p90": f"{row.p90_ms:.2f}",
        "p99": f"{row.p99_ms:.2f}",
        **{f"images/s, {size} at a time": f"{rate:.1f}" for size, rate in row.images_per_second.items()},
        "load ms": f"{row.load_ms:.0f}",
        "peak MB": "" if row.peak_mib is None else f"{row.peak_mib:.0f}",
        "file MB": f"{row.file_mib:.1f}",
    }


def _save(found: Benchmark, folder: Path) -> list[Path]:
    from mobilevit.benchmarking.chart import chart  # and with it matplotlib, which takes a second

    make_folder(folder)
    contents: dict[str, str | bytes] = {
        "benchmark.json": to_json(found.to_dict(), indent=2),
        "benchmark.png": chart(found).png(150),
    }
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]
