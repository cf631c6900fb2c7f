"""`mobilevit check DATA`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from rich.text import Text

from mobilevit.cli import console
from mobilevit.cli.flags import with_flags
from mobilevit.cli.options import CommandOptions, Data, parse
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.report import DataReport
from mobilevit.files import image_format, write_atomically
from mobilevit.tasks.checking import check

COLORS = {"error": "bold red", "warning": "yellow", "info": "dim"}
LONGEST_TABLE = 40  # classes that people still read; --json has them all


@dataclass(frozen=True)
class CheckOptions(CommandOptions):
    """Find the problems of a dataset before training. The exit code is 1 if training could not start."""

    data: Data  # dataset folder: class folders, images with boxes, or images with masks (docs/data.md)
    task: str | None = None  # classification, detection or segmentation; None: recognized from the data
    reading: ReadOptions = field(default_factory=ReadOptions)
    output: Path | None = None  # image file for a contact sheet: samples of every class
    json: bool = False  # print all results as JSON on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(CheckOptions, "check", arguments)
    if options.output:
        image_format(options.output)  # before the work
    with console.bar() as bar:
        shown = bar.add_task("checking", total=None)
        report = check(
            options.data,
            task=options.task,
            options=options.reading,
            progress=lambda done, total: bar.update(shown, completed=done, total=total),
        )
    if options.json:
        console.print_json(report.to_dict())
    else:
        _show(report)
    if options.output:
        _write_grid(report, options.output)
    return 0 if report.ok else 1


def _show(report: DataReport) -> None:
    out = console.results()
    rows = report.rows()
    out.print(console.table(rows[:LONGEST_TABLE]))
    if len(rows) > LONGEST_TABLE:
        out.print(f"... and {len(rows) - LONGEST_TABLE:,} more classes; --json lists all of them")
    out.print()
    out.print(console.facts(_facts(report)))
    out.print()
    for finding in report.findings:
        out.print(Text.assemble((f"{finding.severity}: ", COLORS[finding.severity]), with_flags(finding.message)))
    if not report.findings:
        out.print("no problems found")


def _facts(report: DataReport) -> dict[str, object]:
    splits = report.dataset.splits
    facts: dict[str, object] = {
        "data": f"{report.dataset.root} ({report.dataset.task}, {len(report.dataset.classes):,} classes)",
        "images": ", ".join(f"{len(samples):,} {split}" for split, samples in splits.items()),
    }
    if report.sizes is not None:
        short, long = report.sizes.short_side_px, report.sizes.long_side_px
        facts["short side"] = f"{short.min} to {short.max} px, median {short.median}"
        facts["long side"] = f"{long.min} to {long.max} px, median {long.median}"
        facts["train at"] = f"{report.suggested_image_size} px"
    return facts | {"grayscale": f"{report.gray_share:.0%}", "checked in": f"{report.seconds:.1f} s"}


def _write_grid(report: DataReport, path: Path) -> None:
    encoded = BytesIO()
    report.grid().save(encoded, image_format(path))
    write_atomically(path, encoded.getvalue())
    console.wrote([path])
