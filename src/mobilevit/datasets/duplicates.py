"""Findings about duplicate images: leakage between splits, conflicting labels, plain copies.

Neighboring frames of a video are nearly the same image, and no copies: good labels of each, and data leakage between
splits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations, islice
from operator import ne
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.class_counts import CountsOf
from mobilevit.datasets.finding import Finding, Severity, counted, inside, listed
from mobilevit.datasets.image_inspection import Examined
from mobilevit.datasets.sample import Dataset
from mobilevit.datasets.similarity import MAX_STEP
from mobilevit.datasets.splitting import evenly

Key = TypeVar("Key")  # what is compared: a split, or classes
Group = Sequence[Examined]  # the same image, or nearly

LEAKAGE = "data leakage, which inflates the score"
VIDEO = "if they are frames of a video, put the whole video into one split"
MEANINGS: dict[str, tuple[Severity, str]] = {
    "duplicate-across-splits": ("warning", f"the same file in more than one split: {LEAKAGE}; keep one of each"),
    "near-duplicate-across-splits": (
        "warning",
        f"nearly the same image in more than one split: {LEAKAGE}; review them, and {VIDEO}",
    ),
    "label-conflict": ("warning", "the same file with different labels; keep the right one"),
    "near-label-conflict": ("warning", "nearly the same image with labels that have nothing in common; review them"),
    "duplicate": ("info", "the same file more than once in a split, with the same labels"),
    "near-duplicate": ("info", "nearly the same image more than once in a split, as neighboring frames of a video are"),
}


def shared_findings(dataset: Dataset) -> Iterator[Finding]:
    """The files that more than one split lists."""
    splits: dict[Path, int] = defaultdict(int)
    for samples in dataset.splits.values():
        for sample in samples:
            splits[sample.path] += 1
    shared = tuple(path for path, count in splits.items() if count > 1)
    if shared:
        what = f"{counted(len(shared), 'image')} listed in more than one split"
        some = listed([inside(dataset.root, path) for path in shared], 3)
        yield Finding("warning", "shared-image", f"{what}: {LEAKAGE}; keep each in one: {some}", shared)


def duplicate_findings(dataset: Dataset, groups: Sequence[Group], occurrences: CountsOf) -> Iterator[Finding]:
    """One finding for each of MEANINGS that some groups have; a group may have several.

    The same file contradicts itself where other classes occur in its targets. Images that are nearly the same do where
    their targets have no class in common: from one frame of a video to the next boxes and masks move, and objects come
    and go.
    """
    found: dict[str, list[_Case]] = {kind: [] for kind in MEANINGS}
    places = {sample.path: (split, sample.target) for split, samples in dataset.splits.items() for sample in samples}
    for group in groups:
        splits = {image.path: places[image.path][0] for image in group}
        classes = {image.path: frozenset(occurrences(places[image.path][1])) for image in group}
        copies = _copies(group)
        for same in copies:
            _sort_in(found, "", same, _closest(same, splits, ne), _closest(same, classes, ne))
        if len(group) > sum(map(len, copies)) or len(copies) > 1:
            leaks = any(len({splits[image.path] for image in same}) > 1 for same in copies)
            across = None if leaks else _closest(group, splits, ne)
            conflict = _closest(group, classes, _nothing_in_common, MAX_STEP)
            _sort_in(found, "near-", group, across, conflict)
    for kind, cases in found.items():
        if cases:
            severity, meaning = MEANINGS[kind]
            paths = tuple(image.path for case in cases for image in case.group)
            message = f"{counted(len(paths), 'file')}: {meaning}: {_examples(dataset, cases)}"
            yield Finding(severity, kind, message, paths)


@dataclass(frozen=True)
class _Case:
    """A group, and the two of it that show best what is meant."""

    group: Group
    pair: Sequence[Examined]


def _sort_in(
    found: dict[str, list[_Case]], prefix: str, group: Group, across: Group | None, conflict: Group | None
) -> None:
    if across is not None:
        found[f"{prefix}duplicate-across-splits"].append(_Case(group, across))
    if conflict is not None:
        found[f"{prefix}label-conflict"].append(_Case(group, conflict))
    if across is None and conflict is None:
        found[f"{prefix}duplicate"].append(_Case(group, group[:2]))


def _copies(group: Group) -> list[Group]:
    """Those of the same bytes, two or more each."""
    of_digest: dict[bytes, list[Examined]] = defaultdict(list)
    for image in group:
        of_digest[image.digest].append(image)
    return [same for same in of_digest.values() if len(same) > 1]


def _nothing_in_common(one: AbstractSet[int], other: AbstractSet[int]) -> bool:
    return bool(one and other) and one.isdisjoint(other)


def _closest(
    group: Group, key: Mapping[Path, Key], differ: Callable[[Key, Key], bool], most: int = 255
) -> Group | None:
    """The two most alike of those whose keys differ, their thumbnails by no more than `most` in any value."""
    parts: dict[Key, list[Examined]] = defaultdict(list)
    for image in group:
        parts[key[image.path]].append(image)
    bound, closest = most + 1, None
    for (one, left), (other, right) in islice(combinations(parts.items(), 2), MOST_PARTS):
        if differ(one, other):
            left, right = evenly(left, MOST_OF_PART), evenly(right, MOST_OF_PART)
            difference = np.abs(_thumbnails(left)[:, None] - _thumbnails(right)).max(axis=2)
            place = np.unravel_index(difference.argmin(), difference.shape)
            if difference[place] < bound:
                bound, closest = int(difference[place]), (left[place[0]], right[place[1]])
    return closest


MOST_OF_PART, MOST_PARTS = 200, 100  # bounds the work where thousands of frames are alike


def _thumbnails(images: Sequence[Examined]) -> NDArray[np.int16]:
    """(N, 192)"""
    return np.array([list(image.thumbnail) for image in images], np.int16)


def _examples(dataset: Dataset, cases: Sequence[_Case]) -> str:
    """The pairs of the first cases: "train/a.jpg = val/b.jpg" for the same file, "~" for what is nearly the same."""

    def shown(pair: Sequence[Examined]) -> str:
        one, other = pair
        sign = "=" if one.digest == other.digest else "~"
        return f"{inside(dataset.root, one.path)} {sign} {inside(dataset.root, other.path)}"

    return listed([shown(case.pair) for case in cases], 3)
