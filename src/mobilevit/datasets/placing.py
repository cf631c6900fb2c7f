"""Where a converted dataset puts its images, in any format."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilevit.datasets.sample import Dataset, Sample
from mobilevit.datasets.text_files import quoted
from mobilevit.errors import DataError


@dataclass(frozen=True)
class Placed:
    """A sample and where its image goes, below the folder of its split's images."""

    source: Path
    name: Path  # with the suffix; without it no other has the same
    target: Any


Splits = Mapping[str, Sequence[Placed]]


@dataclass(frozen=True)
class Writer:
    """How a format is written."""

    images: str  # folder of a split's images, "{split}" replaced by its name
    annotations: Callable[[Path, Splits, Sequence[str]], None]
    lost: Callable[[Any], int] = lambda _: 0  # of a target: boxes that the format cannot hold
    is_flat: bool = False  # whether all images of a split lie in one folder

    def folder(self, root: Path, split: str) -> Path:
        return root / self.images.format(split=split)

    def placed(self, dataset: Dataset) -> dict[str, list[Placed]]:
        """The samples of each split, with names that differ wherever they share a folder."""
        shared: dict[str, set[str]] = {}
        splits = {}
        for split, samples in dataset.splits.items():
            taken = shared.setdefault(self.images.format(split=split), set())
            named = [(sample, Path("_".join(name.parts)) if self.is_flat else name) for sample, name in _named(samples)]
            splits[split] = [Placed(sample.path, _free(name, taken), sample.target) for sample, name in named]
        return splits


def _named(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Path]]:
    """Each sample with its path below the folder that all have in common."""
    common = os.path.commonpath([sample.path.parent for sample in samples]) if samples else ""
    return ((sample, sample.path.relative_to(common)) for sample in samples)


def _free(name: Path, taken: set[str]) -> Path:
    """The name, or the first free one of name-2, name-3, ...: the suffix and the case of letters tell none apart.

    What no list of names could hold, such as a line break, becomes an underscore.
    """
    name = Path(
        *("".join(letter if letter.isprintable() and letter != "\\" else "_" for letter in part) for part in name.parts)
    )
    number, free = 1, name
    while free.with_suffix("").as_posix().casefold() in taken:
        number += 1
        free = name.with_name(f"{name.stem}-{number}{name.suffix}")
    taken.add(free.with_suffix("").as_posix().casefold())
    return free


def copy_image(source: Path, target: Path, *, link: bool) -> None:
    """A copy, or a second name for the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        os.link(source.resolve(), target)
    else:
        shutil.copyfile(source, target)


def lines(texts: Sequence[str] | Iterator[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def write(path: Path, text: str) -> None:
    """DataError where it cannot be said in UTF-8, as file names of other encodings cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path.name} cannot be written as UTF-8 ({quoted(error, 100)}): rename the file or class"
        ) from error


def plain(value: float) -> float | int:
    """A whole number without a point."""
    return int(value) if float(value).is_integer() else value
