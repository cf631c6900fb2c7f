"""`mobilevit evaluate MODEL DATA`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Data, Device, Model, parse
from mobilevit.datasets.options import ReadOptions
from mobilevit.evaluation import Evaluation, NotStoredError, evaluate
from mobilevit.files import make_folder
from mobilevit.runtimes import TORCH, faster_beside, thresholds_beside

LONGEST_TABLE = 40  # rows that people still read; --output and --json have them all


@dataclass(frozen=True)
class EvaluateOptions(CommandOptions):
    """Measure the accuracy of a model on a dataset: scores, a table of classes, images per second."""

    model: Model  # model file, or a catalog name
    data: Data  # dataset folder with the model's classes
    split: str = "val"  # split to evaluate: train, val, test, or all
    device: Device = "auto"  # device to run on; auto: GPU if there is one
    runtime: str = "torch"  # torch, or a format exported beside the model; auto: fastest in its benchmark
    batch_size: int = 64  # images per batch
    num_workers: int | None = None  # processes that decode images; None: from the number of cores
    image_size: int | None = None  # model input side in pixels; None: the model's own
    reading: ReadOptions = field(default_factory=ReadOptions)
    store_threshold: str | None = None  # detection: criterion to store one by: f1, precision=0.95, recall=0.9
    skip_broken: bool = False  # skip and count images that cannot be decoded
    output: Path | None = None  # folder for evaluation.json, the confusion matrix and other plots
    json: bool = False  # print all results as JSON on standard output


def run(arguments: Sequence[str]) -> int:
    options = parse(EvaluateOptions, "evaluate", arguments)
    if options.output:
        make_folder(options.output)  # before the work
    if options.runtime == TORCH and (faster := faster_beside(options.model)):
        console.say(f"note: {faster}")
    try:
        evaluation = _evaluated(options)
    except NotStoredError as error:
        _tell(error.evaluation, options)
        raise
    _tell(evaluation, options)
    if options.store_threshold and (threshold := evaluation.spec.score_threshold):
        console.say(f"{options.model} now has the score threshold {threshold.value:g}: {threshold.reason}")
        for line in thresholds_beside(Path(options.model), evaluation.spec):
            console.say(line)
    return 0


def _evaluated(options: EvaluateOptions) -> Evaluation:
    with console.bar() as bar:
        shown = bar.add_task("evaluating", total=None)
        return evaluate(
            options.model,
            options.data,
            split=options.split,
            device=options.device,
            batch_size=options.batch_size,
            num_workers=options.num_workers,
            image_size=options.image_size,
            runtime=options.runtime,
            read_options=options.reading,
            skip_broken=options.skip_broken,
            store_threshold=options.store_threshold,
            progress=lambda done, total: bar.update(shown, completed=done, total=total),
        )


def _tell(evaluation: Evaluation, options: EvaluateOptions) -> None:
    """On standard output, and into the folder that was asked for."""
    if options.json:
        console.print_json(evaluation.to_dict())
    else:
        _show(evaluation)
    if options.output:
        console.wrote(evaluation.save(options.output))


def _show(evaluation: Evaluation) -> None:
    out = console.results()
    for title, rows in evaluation.scores.tables().items():
        out.print(console.table(rows[:LONGEST_TABLE], title=title))
        if len(rows) > LONGEST_TABLE:
            out.print(f"... and {len(rows) - LONGEST_TABLE:,} more rows; --json and --output FOLDER have all of them")
        out.print()
    out.print(console.facts(evaluation.scores.scalars()))
    out.print(f"\n{evaluation.summary}")
