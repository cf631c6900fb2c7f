"""`mobilevit predict MODEL PICTURES...`."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Annotated

import tyro
from PIL.Image import Image

from mobilevit.cli import console
from mobilevit.cli.options import SIDE, Device, Model, parse
from mobilevit.data.finding import counted
from mobilevit.errors import UsageError
from mobilevit.files import make_folder, unused, write_atomically
from mobilevit.inference import Failure, Predictor
from mobilevit.sources import STANDARD_INPUT, expand
from mobilevit.tasks.base import Result

Outcome = Result | Failure


@dataclass(frozen=True)
class PredictOptions:
    """Say what is in pictures. Broken ones are reported and the rest goes on; the exit code is 1 then."""

    model: Model  # a model file, or a name of the catalogue
    pictures: Annotated[  # files, folders, quoted patterns ("photos/**/*.jpg"), addresses; - is standard input
        tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PICTURES")
    ]
    top_k: int | None = None  # likeliest classes or objects to tell; None: 5 classes, 100 objects
    score_threshold: float | None = None  # leave out what is less likely, 0-1; None: the model's own, 0.3 for objects
    device: Device = "auto"  # where to run
    runtime: str = "torch"  # torch; onnx, openvino, ... where exported beside the model; auto: fastest in its benchmark
    batch_size: int = 32  # pictures at a time
    size_px: Annotated[int | None, SIDE] = None  # side of the network's input; None: the model's own
    json: bool = False  # a JSON list on standard output, one entry a picture
    csv: bool = False  # CSV, a line a picture; segmentation: a class; detection: an object (no object, no line)
    save: Path | None = None  # folder for the pictures with the results drawn on them
    save_masks: Path | None = None  # segmentation: folder for the class of every pixel, as palette PNGs


def run(arguments: Sequence[str]) -> int:
    options = parse(PredictOptions, "predict", _pictures_last(arguments))
    _check(options)
    count = sum(1 for _ in expand(options.pictures))
    predictor = Predictor(
        options.model,
        device=options.device,
        batch_size=options.batch_size,
        top_k=options.top_k,
        score_threshold=options.score_threshold,
        size_px=options.size_px,
        runtime=options.runtime,
    )
    _say_threshold(predictor, options)
    drawings = Drawings(make_folder(options.save)) if options.save else None
    masks = Masks(options.save_masks) if options.save_masks else None
    failures = Failures()
    outcomes = failures.watch(_outcomes(predictor, options.pictures, drawings))
    _tell(masks.watch(outcomes) if masks else outcomes, count, predictor.columns, options)
    if drawings:
        console.say(f"{counted(drawings.count, 'picture')} in {options.save}")
    if masks:
        console.say(f"{counted(masks.count, 'mask')} in {options.save_masks}")
    if failures.count:
        console.say(f"{failures.count:,} of {counted(count, 'picture')} could not be read")
    return 1 if failures.count else 0


def _pictures_last(arguments: Sequence[str]) -> list[str]:
    """Options first: the parser takes no pictures after an option that follows the model."""
    switches = {"-h", "--help", *(f"--{option.name}" for option in fields(PredictOptions) if option.type is bool)}
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


def _check(options: PredictOptions) -> None:
    if options.json and options.csv:
        raise UsageError("--json and --csv exclude each other")
    if not options.pictures:
        raise UsageError("no pictures: name files, folders, patterns or addresses, or - for standard input")


def _say_threshold(predictor: Predictor, options: PredictOptions) -> None:
    """The model's own threshold, where it decides what is told."""
    threshold = predictor.spec.score_threshold
    if threshold is not None and options.score_threshold is None:
        console.say(f"objects above a score of {threshold.value:g}: {threshold.reason}")


def _tell(outcomes: Iterable[Outcome], count: int, columns: Sequence[str], options: PredictOptions) -> None:
    """JSON and CSV as they come; a table when all are there."""
    streams = options.json or options.csv
    rows: list[dict[str, str]] = []
    with console.bar(hidden=streams and sys.stdout.isatty()) as bar:
        outcomes = bar.track(outcomes, total=count, description="predicting")
        if options.json:
            _write_json(outcomes)
        elif options.csv:
            _write_csv(outcomes, columns)
        else:
            rows = [outcome.row() for outcome in outcomes if not isinstance(outcome, Failure)]
    if rows:
        console.results().print(console.table(rows))


class Failures:
    """Tells of each picture that could not be read, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def watch(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self.count += 1
                console.say(f"error: {outcome.message}")
            yield outcome


class Drawings:
    """Writes drawn pictures into a folder, each under the name of its source; numbered where that name is taken."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def add(self, source: str, picture: Image) -> None:
        encoded = BytesIO()
        picture.save(encoded, "JPEG", quality=90)
        write_atomically(_free(self.folder, source, ".jpg"), encoded.getvalue())
        self.count += 1


class Masks:
    """Writes the masks of results into a folder, which is made for the first, as palette PNGs named like drawings."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def watch(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for outcome in outcomes:
            if not isinstance(outcome, Failure):
                self._add(outcome)
            yield outcome

    def _add(self, result: Result) -> None:
        mask = result.mask()
        if mask is None:
            raise UsageError("--save-masks is for segmentation: this network gives no class to a pixel")
        encoded = BytesIO()
        mask.save(encoded, "PNG")
        write_atomically(_free(make_folder(self.folder), result.source, ".png"), encoded.getvalue())
        self.count += 1


def _free(folder: Path, source: str, suffix: str) -> Path:
    """A name in the folder that is the source's, or that with a number."""
    return unused(folder / f"{Path(source.strip('<>')).stem or 'picture'}{suffix}")


def _outcomes(predictor: Predictor, pictures: Sequence[str], drawings: Drawings | None) -> Iterator[Outcome]:
    if drawings is None:
        yield from predictor.stream(pictures)
        return
    for outcome in predictor.drawn(pictures):
        if isinstance(outcome, Failure):
            yield outcome
        else:
            result, picture = outcome
            drawings.add(result.source, picture)
            yield result


def _write_json(outcomes: Iterable[Outcome]) -> None:
    """A list, written as its entries come."""
    separator = "[\n"
    for outcome in outcomes:
        sys.stdout.write(separator + json.dumps(outcome.to_dict(), ensure_ascii=False))
        separator = ",\n"
    sys.stdout.write("\n]\n" if separator == ",\n" else "[]\n")


def _write_csv(outcomes: Iterable[Outcome], columns: Sequence[str]) -> None:
    """A heading and lines, written as they come; a picture that could not be read has none, and is told of on standard
    error."""
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    for number, outcome in enumerate(outcomes):
        if number == 0:  # not before: the first may show that the options do not fit the network
            writer.writeheader()
        if not isinstance(outcome, Failure):
            writer.writerows(outcome.records())
