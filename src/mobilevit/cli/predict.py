"""`mobilevit predict MODEL IMAGES...`."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated, Self

import tyro
from PIL.Image import Image

from mobilevit.cli import console
from mobilevit.cli.options import CommandOptions, Device, Model, Switch, parse
from mobilevit.cli.prediction_outputs import FORMATS, Outcome, Output, Said, records_of
from mobilevit.datasets.finding import counted
from mobilevit.errors import ImageError, UsageError, unknown
from mobilevit.files import clear_abandoned, make_folder
from mobilevit.images.sources import STANDARD_INPUT, expand
from mobilevit.images.video import Video, is_video, locate
from mobilevit.inference import MOMENT, ImageFailure, Predictor
from mobilevit.interrupts import StopRequest
from mobilevit.runtimes import TORCH, faster_beside

SOURCES = 'files, folders, quoted patterns ("a/**/*.jpg"), URLs, videos, camera:0; -: standard input'


@dataclass(frozen=True)
class PredictOptions(CommandOptions):
    """Run a model on images and videos. Broken ones are reported and skipped; the exit code is then 1."""

    model: Model  # model file, or a catalog name
    images: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGES", help=SOURCES)]
    top_k: int | None = None  # maximum number of classes or objects per image; None: 5 classes, 100 objects
    score_threshold: float | None = None  # minimum score, 0-1; None: the model's own, else 0.3 for objects
    device: Device = "auto"  # device to run on; auto: GPU if there is one
    runtime: str = "torch"  # torch, or a format exported beside the model; auto: fastest in its benchmark
    batch_size: int = 32  # images per batch
    image_size: int | None = None  # model input side in pixels; None: the model's own
    json: bool = False  # print a JSON list on standard output, one entry per image
    csv: bool = False  # print CSV: a line per image, for segmentation per class, for detection per object
    output: Path | None = None  # folder to write the results to, as --format says
    format: str | None = None  # comma-separated: image (drawn; videos stay videos), mask, jsonl, csv; None: image
    every: int = 1  # videos: use every n-th frame only


def run(arguments: Sequence[str]) -> int:
    options = parse(PredictOptions, "predict", _images_last(arguments))
    formats = _checked(options)
    if options.runtime == TORCH and (faster := faster_beside(options.model)):
        console.say(f"note: {faster}")
    predictor = Predictor(
        options.model,
        device=options.device,
        batch_size=options.batch_size,
        top_k=options.top_k,
        score_threshold=options.score_threshold,
        image_size=options.image_size,
        runtime=options.runtime,
    )
    _say_threshold(predictor, options)
    has_video = any(is_video(source.name) for source in expand(options.images))
    columns = [*(MOMENT if has_video else ()), *predictor.columns]
    failures = Failures()
    with Outputs(options.output, formats, columns) as outputs:
        answers = _answers(predictor, options, draw=options.output is not None and "image" in formats)
        _tell(outputs.watch(failures.watch(answers)), _total(options), columns, options)
    if failures.count:
        count = sum(1 for _ in expand(options.images))
        console.say(f"{failures.count:,} of {counted(count, 'image')} could not be read")
    return 1 if failures.count else 0


Answer = tuple[Outcome, Image | None]  # what is said, and drawn where that is asked for


def _answers(predictor: Predictor, options: PredictOptions, *, draw: bool) -> Iterator[Answer]:
    """Of each image, and of each frame of a video, in the order of the names."""
    for of_video, sources in groupby(expand(options.images), lambda source: is_video(source.name)):
        if of_video:
            for source in sources:
                yield from _of_video(predictor, source.name, options.every, draw=draw)
        elif draw:
            for outcome in predictor.drawn(sources):
                yield (outcome, None) if isinstance(outcome, ImageFailure) else outcome
        else:
            yield from ((outcome, None) for outcome in predictor.stream(sources))


def _of_video(predictor: Predictor, name: str, every: int, *, draw: bool) -> Iterator[Answer]:
    try:
        for said in predictor.frames(name, every=every):
            yield said, predictor.task.draw(said.frame.image, said.result) if draw else None
    except ImageError as error:
        yield ImageFailure(name, str(error)), None


def _total(options: PredictOptions) -> int | None:
    """How many answers there will be; None where a camera or a video does not know."""
    total = 0
    for source in expand(options.images):
        try:
            count = Video(locate(source.name), options.every).count if is_video(source.name) else 1
        except ImageError:
            count = 1  # the line that says so
        if count is None:
            return None
        total += count
    return total


def _images_last(arguments: Sequence[str]) -> list[str]:
    """Options first: the parser takes no images after an option that follows the model."""
    switches = {f"--{option.name}" for option in fields(PredictOptions) if option.type in (bool, Switch)}
    switches |= {"-h", "--help"}
    options: list[str] = []
    names: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*options, "--", *names, *rest]
        is_option = argument.startswith("-") and argument != STANDARD_INPUT
        (options if is_option else names).append(argument)
        if is_option and argument not in switches and "=" not in argument:
            options.extend(islice(rest, 1))
    return [*options, *names]


def _checked(options: PredictOptions) -> list[str]:
    """The formats of --output; UsageError where options do not fit together."""
    if options.json and options.csv:
        raise UsageError("--json and --csv cannot be combined: choose one")
    if not options.images:
        raise UsageError("no images: give files, folders, patterns, URLs or videos, or - for standard input")
    if options.every < 1:
        raise UsageError(f"--every is {options.every}: it must be 1 or more")
    formats = [name.strip() for name in (options.format or "image").split(",") if name.strip()]
    for name in formats:
        if name not in FORMATS:
            raise unknown("--format", name, FORMATS)
    if options.format is not None and options.output is None:
        raise UsageError("--format needs a folder to write to: give it as --output")
    return formats


def _say_threshold(predictor: Predictor, options: PredictOptions) -> None:
    """Report the model's own threshold, if it applies."""
    threshold = predictor.spec.score_threshold
    if threshold is not None and options.score_threshold is None:
        console.say(f"score threshold {threshold.value:g}: {threshold.reason}")


def _tell(outcomes: Iterable[Outcome], count: int | None, columns: Sequence[str], options: PredictOptions) -> None:
    """JSON and CSV as results arrive, a table at the end."""
    streams = options.json or options.csv
    rows: list[dict[str, str]] = []
    with console.bar(hidden=streams and sys.stdout.isatty()) as bar:
        outcomes = bar.track(outcomes, total=count, description="predicting")
        if options.json:
            _write_json(outcomes)
        elif options.csv:
            _write_csv(outcomes, columns)
        else:
            rows = [outcome.row() for outcome in outcomes if not isinstance(outcome, ImageFailure)]
    if rows:
        console.results().print(console.table(rows))


class Failures:
    """Reports and counts sources that cannot be read."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, answers: Iterable[Answer]) -> Iterator[Answer]:
        for outcome, drawn in answers:
            if isinstance(outcome, ImageFailure):
                self.count += 1
                console.say(f"error: {outcome.message}")
            yield outcome, drawn


class Outputs:
    """What is written to the folder of --output, from the first result on. Ctrl-C leaves whole files."""

    def __init__(self, folder: Path | None, formats: Sequence[str], columns: Sequence[str]) -> None:
        self.folder, self.formats, self.columns = folder, formats, columns
        self.begun: list[Output] = []
        self.stop = StopRequest()

    def __enter__(self) -> Self:
        if self.folder is not None:
            self.stop.__enter__()
        return self

    def watch(self, answers: Iterable[Answer]) -> Iterator[Outcome]:
        for outcome, drawn in answers:
            if self.folder is not None and not isinstance(outcome, ImageFailure):
                self.begun = self.begun or self._begin(self.folder, outcome)
                for output in self.begun:
                    output.add(outcome, drawn)
            yield outcome
            if self.stop.requested:
                raise KeyboardInterrupt

    def _begin(self, folder: Path, first: Said) -> list[Output]:
        if "mask" in self.formats and first.mask() is None:
            raise UsageError("--format mask is for segmentation models only")
        make_folder(folder)
        clear_abandoned(folder)
        return [FORMATS[name](folder, self.columns) for name in self.formats]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for output in self.begun:
            if kind is None or issubclass(kind, KeyboardInterrupt):
                console.say(f"{output.close()} in {self.folder}")
            else:
                output.discard()
        self.stop.__exit__(None, None, None)


def _write_json(outcomes: Iterable[Outcome]) -> None:
    """A list, written as its entries come."""
    separator = "[\n"
    for outcome in outcomes:
        sys.stdout.write(separator + console.json_text(outcome.to_dict()))
        separator = ",\n"
    sys.stdout.write("\n]\n" if separator == ",\n" else "[]\n")


def _write_csv(outcomes: Iterable[Outcome], columns: Sequence[str]) -> None:
    """A header and rows, written as results arrive, without the images that cannot be read."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    for number, outcome in enumerate(outcomes):
        if number == 0:  # not before: the first may show that the options do not fit the model
            writer.writeheader()
        if not isinstance(outcome, ImageFailure):
            writer.writerows(records_of(outcome))
