"""What to say about the masks of a data set; the pictures themselves are the doctor's."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.data import decoding
from mobilevit.data.class_counts import imbalance, total
from mobilevit.data.finding import Finding, Severity, counted, inside, listed
from mobilevit.data.sample import Dataset, Sample
from mobilevit.data.splitting import evenly
from mobilevit.data.threads import in_threads
from mobilevit.errors import PictureError
from mobilevit.tasks.segmentation.target import Mask, size_problem

QUICK_HEADERS = 5000  # pairs of headers that the fast part compares at most: about a second
QUICK_MASKS = 300  # masks that it reads: below a second
IMBALANCE_RATIO = 10.0  # commonest class over the rarest, in pixels, from which class weights are worth a try
IGNORED_SHARE = 0.5  # of the pixels, from which little is left to learn


def findings(dataset: Dataset, *, thorough: bool) -> list[Finding]:
    """What the reader found; masks that cannot be used; classes that are missing or rare; pixels that are left out.

    A sample of the masks, unless `thorough`.
    """
    samples = [sample for part in dataset.splits.values() for sample in part]
    sizes = in_threads(_size, samples if thorough else evenly(samples, QUICK_HEADERS))
    read = {
        split: in_threads(_examine, part if thorough else evenly(part, QUICK_MASKS))
        for split, part in dataset.splits.items()
    }
    all_read = all(len(read[split]) == len(part) for split, part in dataset.splits.items())
    return [
        *dataset.notes,
        *_wrong_sizes(dataset, sizes),
        *_unusable(dataset, [mask for part in read.values() for mask in part]),
        *_nothing(read["train"]),
        *(_missing(dataset, read) if all_read else ()),
        *_imbalance(dataset, read["train"]),
        *_ignored(dataset, [mask for part in read.values() for mask in part]),
        *(() if thorough else _sampled(len(samples), sum(map(len, read.values())))),
    ]


@dataclass(frozen=True)
class Examined:
    """What a mask holds."""

    path: Path
    pixels: int
    counts: dict[int, int]  # of each class
    problem: str = ""  # why it cannot be used


def _size(sample: Sample) -> tuple[Path, str]:
    """The mask, and what is wrong with its size; what cannot be opened is told elsewhere."""
    mask: Mask = sample.target
    try:
        size, wanted = decoding.header(mask.path).size, decoding.header(sample.path).size
    except PictureError:
        return mask.path, ""
    return mask.path, "" if size == wanted else size_problem(size, wanted)


def _examine(sample: Sample) -> Examined:
    mask: Mask = sample.target
    try:
        width, height = decoding.header(mask.path).size
        return Examined(mask.path, width * height, dict(mask.counts()))
    except PictureError as error:
        return Examined(mask.path, 0, {}, str(error).removeprefix(f"{mask.path}: "))


def _wrong_sizes(dataset: Dataset, sizes: Sequence[tuple[Path, str]]) -> Iterator[Finding]:
    wrong = [(path, problem) for path, problem in sizes if problem]
    if wrong:
        count = counted(len(wrong), "mask")
        message = f"{count} of another size than the picture: {_first(dataset, wrong)}"
        yield Finding("error", "mask-size", message, tuple(path for path, _ in wrong))


def _unusable(dataset: Dataset, masks: Sequence[Examined]) -> Iterator[Finding]:
    broken = [(mask.path, mask.problem) for mask in masks if mask.problem]
    if broken:
        message = f"{counted(len(broken), 'mask')} cannot be used: {_first(dataset, broken)}"
        yield Finding("error", "mask", message, tuple(path for path, _ in broken))


def _first(dataset: Dataset, problems: Sequence[tuple[Path, str]]) -> str:
    return listed([f"{inside(dataset.root, path)} {problem}" for path, problem in problems], 3, between="; ")


def _nothing(masks: Sequence[Examined]) -> Iterator[Finding]:
    """Training masks among which none has a class."""
    usable = [mask for mask in masks if not mask.problem]
    if usable and not any(mask.counts for mask in usable):
        message = "every pixel of the training masks is left out: there is nothing to learn. Is 255 one of the classes?"
        yield Finding("error", "no-pixels", f"{message} Then store it as another number.")


def _missing(dataset: Dataset, read: dict[str, list[Examined]]) -> Iterator[Finding]:
    where: dict[str, list[str]] = defaultdict(list)
    for split, masks in read.items():
        if not masks:
            continue
        counts = total((mask.counts for mask in masks), len(dataset.classes))
        where[split] = [label.name for label, count in zip(dataset.classes, counts, strict=True) if not count]
    for split, names in where.items():
        if names:
            message = f"{counted(len(names), 'class')} without a pixel in {split}: {listed(names)}"
            yield Finding("warning", "missing-class", message)


def _imbalance(dataset: Dataset, masks: Sequence[Examined]) -> Iterator[Finding]:
    counts = total((mask.counts for mask in masks), len(dataset.classes))
    present = [count for count in counts if count]
    if len(present) > 1 and imbalance(present) >= IMBALANCE_RATIO:
        most, least = (dataset.classes[counts.index(extreme(present))].name for extreme in (max, min))
        message = f"'{most}' has {imbalance(present):,.0f} times the pixels of '{least}': train with --class-weights"
        yield Finding("warning", "imbalance", message)


def _ignored(dataset: Dataset, masks: Sequence[Examined]) -> Iterator[Finding]:
    pixels = sum(mask.pixels for mask in masks)
    share = 1 - sum(sum(mask.counts.values()) for mask in masks) / pixels if pixels else 0.0
    if share > 0:
        severity: Severity = "warning" if share > IGNORED_SHARE else "info"
        yield Finding(severity, "ignored", f"{share:.1%} of the pixels are left out of training and scores")
    empty = tuple(mask.path for mask in masks if not mask.counts and not mask.problem)
    if empty:
        some = listed([inside(dataset.root, path) for path in empty], 3)
        message = f"{counted(len(empty), 'mask')} with no class at all, every pixel left out: {some}"
        yield Finding("warning", "empty-mask", message, empty)


def _sampled(masks: int, read: int) -> Iterator[Finding]:
    if read < masks:
        yield Finding("info", "sampled", f"read {read:,} of {masks:,} masks: `mobilevit check` reads all of them")
