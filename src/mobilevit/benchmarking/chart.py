"""The figure of a benchmark: one bar a runtime and number of threads, the fastest on top."""

from mobilevit.benchmarking.benchmark import Benchmark
from mobilevit.figures import Figure
from mobilevit.formats.table import FORMATS
from mobilevit.tasks.charts import BLUE, GRAY, INK


def chart(benchmark: Benchmark) -> Figure:
    """Median times, a line to the 90th percentile; PyTorch in gray."""
    rows = sorted(benchmark.rows, key=lambda row: row.median_ms, reverse=True)
    figure = Figure(figsize=(8, 1.4 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots()
    places = range(len(rows))
    colors = [BLUE if row.runtime in FORMATS else GRAY for row in rows]
    axes.barh(places, [row.median_ms for row in rows], color=colors, height=0.7)
    axes.hlines(places, [row.median_ms for row in rows], [row.p90_ms for row in rows], color=INK, linewidth=1)
    for place, row in zip(places, rows, strict=True):
        axes.text(row.p90_ms, place, f"  {row.median_ms:.1f} ms", va="center", fontsize=9, color=INK)
    axes.set_yticks(places, [_label(row.runtime, row.precision, row.threads) for row in rows], fontsize=9)
    axes.set_xlabel("milliseconds an image, median and 90th percentile", fontsize=10)
    axes.set_title(
        f"{benchmark.model}, {benchmark.image_size} px, batch 1: {benchmark.machine['processor']}",
        loc="left",
        fontsize=10,
    )
    axes.set_xlim(0, 1.15 * max(row.p90_ms for row in rows))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _label(runtime: str, precision: str, threads: int) -> str:
    title = FORMATS[runtime].title if runtime in FORMATS else "PyTorch"
    return f"{title} {precision}, {threads} thread{'s' if threads > 1 else ''}"
