"""What pictures that occur more than once mean: splits that share them, labels that contradict, mere copies."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from mobilevit.data.class_counts import Occurrences
from mobilevit.data.examination import Examined
from mobilevit.data.finding import Finding, Severity, counted, inside, listed
from mobilevit.data.sample import Dataset

Group = Sequence[Examined]  # the same picture, or nearly

BY_HEART = "so that the score counts what was learnt by heart"
MEANINGS: dict[str, tuple[Severity, str]] = {
    "duplicate-across-splits": (
        "warning",
        f"the same file in more than one split, {BY_HEART}; keep one of each",
    ),
    "near-duplicate-across-splits": (
        "warning",
        f"nearly the same picture in more than one split, {BY_HEART}",
    ),
    "label-conflict": ("warning", "the same picture with different labels; keep the right one"),
    "duplicate": ("info", "the same picture more than once in a split, with the same labels"),
}


def shared_findings(dataset: Dataset) -> Iterator[Finding]:
    """The files that more than one split lists."""
    splits: dict[Path, int] = defaultdict(int)
    for samples in dataset.splits.values():
        for sample in samples:
            splits[sample.path] += 1
    shared = tuple(path for path, count in splits.items() if count > 1)
    if shared:
        what = f"{counted(len(shared), 'picture')} listed in more than one split"
        some = listed([inside(dataset.root, path) for path in shared], 3)
        yield Finding("warning", "shared-picture", f"{what}, {BY_HEART}; keep each in one: {some}", shared)


def duplicate_findings(dataset: Dataset, groups: Sequence[Group], occurrences: Occurrences) -> Iterator[Finding]:
    """One finding for each of MEANINGS that some groups have; a group may have two.

    Labels differ where other classes occur in the target: boxes and masks of two pictures that are nearly the same
    always differ a little.
    """
    of_kind: dict[str, list[Group]] = {kind: [] for kind in MEANINGS}
    places = {sample.path: (split, sample.target) for split, samples in dataset.splits.items() for sample in samples}
    for group in groups:
        splits = [places[picture.path][0] for picture in group]
        classes = [occurrences(places[picture.path][1]).keys() for picture in group]
        if len(set(splits)) > 1:
            of_kind[f"{'' if _share_a_file(group, splits) else 'near-'}duplicate-across-splits"].append(group)
        if any(of_target != classes[0] for of_target in classes):
            of_kind["label-conflict"].append(group)
        elif len(set(splits)) == 1:
            of_kind["duplicate"].append(group)
    for kind, found in of_kind.items():
        if found:
            severity, meaning = MEANINGS[kind]
            paths = tuple(picture.path for group in found for picture in group)
            message = f"{counted(len(paths), 'file')}: {meaning}: {_examples(dataset, found)}"
            yield Finding(severity, kind, message, paths)


def _share_a_file(group: Group, splits: Sequence[str]) -> bool:
    """Whether pictures of different splits have the same bytes."""
    of_digest: dict[bytes, set[str]] = defaultdict(set)
    for picture, split in zip(group, splits, strict=True):
        of_digest[picture.digest].add(split)
    return any(len(found) > 1 for found in of_digest.values())


def _examples(dataset: Dataset, groups: Sequence[Group]) -> str:
    """The first groups as "train/a.jpg = val/b.jpg"."""
    return listed([" = ".join(str(inside(dataset.root, picture.path)) for picture in group[:3]) for group in groups], 3)
