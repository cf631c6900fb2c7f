"""What to say about the masks of a dataset; the images themselves are the doctor's."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilevit.datasets import class_list, instance_masks
from mobilevit.datasets.class_counts import imbalance, total
from mobilevit.datasets.finding import Finding, Severity, counted, inside, listed
from mobilevit.datasets.image_inspection import Broken, decodes, reason
from mobilevit.datasets.mask_target import Mask, size_problem
from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.splitting import evenly
from mobilevit.errors import ImageError
from mobilevit.images import decoding
from mobilevit.images.threads import in_threads

QUICK_HEADERS = 5000  # pairs of headers that the fast part compares at most: about a second
QUICK_MASKS = 300  # masks that it reads: below a second
IMBALANCE_RATIO = 10.0  # commonest class over the rarest, in pixels, from which class weights are worth a try
NAMED = 3  # masks in a message
IGNORED_SHARE = 0.5  # of the pixels, from which little is left to learn


def findings(dataset: Dataset, *, thorough: bool) -> list[Finding]:
    """What the reader found; masks that cannot be used; classes that are missing or rare; pixels that are left out.

    A sample of the masks, unless `thorough`.
    """
    samples = [sample for part in dataset.splits.values() for sample in part]
    sizes = in_threads(_size, samples if thorough else evenly(samples, QUICK_HEADERS))
    read = {split: _all(part) if thorough else _some(part) for split, part in dataset.splits.items()}
    all_read = all(len(read[split]) == len(part) for split, part in dataset.splits.items())
    return [
        *dataset.notes,
        *_wrong_sizes(dataset, sizes),
        *_unusable(dataset, [mask for part in read.values() for mask in part]),
        *_nothing(dataset, read["train"]),
        *_nothing_to_measure(dataset, read),
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
        size, wanted = mask.size, decoding.header(sample.path).size
    except ImageError:
        return mask.path, ""
    return mask.path, "" if size == wanted else size_problem(size, wanted)


def _examine(sample: Sample) -> Examined:
    mask: Mask = sample.target
    try:
        width, height = mask.size
        return Examined(mask.path, width * height, dict(mask.counts()))
    except ImageError as error:
        return Examined(mask.path, 0, {}, reason(mask.path, error))


def _all(samples: Sequence[Sample]) -> list[Examined]:
    return in_threads(_examine, samples)


def _some(samples: Sequence[Sample]) -> list[Examined]:
    """A sample of the masks; all where it has too few classes, since others may be rare."""
    some = _all(evenly(samples, QUICK_MASKS))
    return _all(samples) if _too_few(some) else some


def _too_few(masks: Sequence[Examined]) -> bool:
    """Whether fewer than two classes have pixels; False where masks cannot be used, which might have had others."""
    return len(masks) > 0 and len(_present(masks)) < 2 and not any(mask.problem for mask in masks)


def _present(masks: Sequence[Examined]) -> set[int]:
    """The classes that have pixels."""
    return {index for mask in masks for index in mask.counts}


def _wrong_sizes(dataset: Dataset, sizes: Sequence[tuple[Path, str]]) -> Iterator[Finding]:
    wrong = [(path, problem) for path, problem in sizes if problem]
    if wrong:
        count = counted(len(wrong), "mask")
        message = f"{count} of another size than the image: {_first(dataset, wrong)}"
        yield Finding("error", "mask-size", message, tuple(path for path, _ in wrong))


def _unusable(dataset: Dataset, masks: Sequence[Examined]) -> Iterator[Finding]:
    broken = [(mask.path, mask.problem) for mask in masks if mask.problem]
    if broken:
        message = f"{counted(len(broken), 'mask')} cannot be used: {_first(dataset, broken)}"
        if any(decodes(path) for path, _ in broken[:NAMED]):
            message += "; train with --skip-broken to leave out what is broken"
        message += _of_instances(masks)
        yield Finding("error", "mask", message, tuple(path for path, _ in broken))


def _of_instances(masks: Sequence[Examined]) -> str:
    """A word on masks whose values count objects, where some have values that are no classes."""
    strange = [mask.path for mask in masks if "has the value" in mask.problem]
    if not strange:
        return ""
    fine = [mask.path for mask in masks if not mask.problem]
    found = in_threads(class_list.values_of, [*evenly(strange, QUICK_MASKS), *evenly(fine, QUICK_MASKS)])
    said = instance_masks.findings([mask[1] for mask in found if not isinstance(mask, Broken)])
    return f". {said[0].message[0].upper()}{said[0].message[1:]}" if said else ""


def _first(dataset: Dataset, problems: Sequence[tuple[Path, str]]) -> str:
    """Each problem, with what to do about it, once."""
    having: dict[str, list[Path]] = defaultdict(list)
    for path, problem in problems:
        having[problem].append(inside(dataset.root, path))
    said = [f"{listed(some, NAMED)}{' each' if len(some) > 1 else ''} {problem}" for problem, some in having.items()]
    return listed(said, NAMED, between="; ")


def _nothing(dataset: Dataset, masks: Sequence[Examined]) -> Iterator[Finding]:
    """Training masks that have no class, or a single one."""
    if not _too_few(masks):
        return
    present = _present(masks)
    message = "every pixel of the training masks is left out"
    if present:
        message = f"only '{dataset.classes[min(present)].name}' has pixels in the training masks"
    some_left_out = any(sum(mask.counts.values()) < mask.pixels for mask in masks)
    hint = f". {_hint_of_255(dataset, present)}" if some_left_out else ""
    yield Finding("error", "no-pixels", f"{message}: there is nothing to learn{hint}")


def _nothing_to_measure(dataset: Dataset, read: dict[str, list[Examined]]) -> Iterator[Finding]:
    """Val masks without a class, or with a single one where training has more: whatever is learned, the score says
    nothing of it."""
    masks = read.get("val", [])
    if not dataset.splits["train"] or not _too_few(masks):
        return
    present, learned = _present(masks), _present(read["train"])
    if not present:
        message = "every pixel of the val masks is left out"
    elif len(learned) > 1:
        message = f"the val masks have no pixel but of '{dataset.classes[min(present)].name}'"
    else:
        return
    remedy = "label some, or take val from train by removing it"
    yield Finding("error", "no-val-pixels", f"{message}: no score can tell a good model from a bad one; {remedy}")


def _hint_of_255(dataset: Dataset, present: set[int]) -> str:
    coding = dataset.splits["train"][0].target.coding
    if present == {0} and len(dataset.classes) == 2 and not coding.colors:
        dark, white = (label.name for label in dataset.classes)
        lines = f"'{dark} 0 0 0' and '{white} 255 255 255'"
        return f"255 is left out; if it is white for '{white}', write {lines} in classes.txt"
    return "Is 255 one of the classes? Then store it as another number."


def _missing(dataset: Dataset, read: dict[str, list[Examined]]) -> Iterator[Finding]:
    where: dict[str, list[str]] = defaultdict(list)
    for split, masks in read.items():
        if not masks or any(mask.problem for mask in masks):  # which may have had them
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
