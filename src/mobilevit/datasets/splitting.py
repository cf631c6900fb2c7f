"""Splits by name or by seed, and evenly chosen subsets."""

import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Thing = TypeVar("Thing")
Groups = dict[str, list[Path]]

SPLIT_NAMES: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def split_named(name: str) -> str | None:
    """The split that a name stands for, if any; in any case."""
    folded = name.casefold()
    return next((split for split, names in SPLIT_NAMES.items() if folded in names), None)


def split_by_seed(
    groups: Mapping[str, Sequence[Path]], root: Path, fraction: float, seed: int
) -> tuple[Groups, Groups]:
    """Training and val images of every group (a class): a function of names and seed alone.

    An image's rank is the hash of the seed and its path below `root`, so neither the order of files nor where the
    folder lies matters. A group keeps at least one image for training, and has one in val where it has two.
    `fraction` goes to val, 0-1, both excluded.
    """
    train: Groups = {}
    val: Groups = {}
    for name, paths in groups.items():
        count = min(len(paths) - 1, max(1, round(len(paths) * fraction)))
        ranked = sorted(paths, key=lambda path: _rank(seed, path, root))
        chosen = set(ranked[: max(0, count)])
        train[name] = [path for path in paths if path not in chosen]
        val[name] = [path for path in paths if path in chosen]
    return train, val


def evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """`most` of the things, first to last at equal distance; all where there are no more."""
    count = min(len(things), most)
    return [things[place * (len(things) - 1) // max(1, count - 1)] for place in range(count)]


def _rank(seed: int, path: Path, root: Path) -> bytes:
    inside = os.fspath(path).removeprefix(os.path.join(root, ""))  # noqa: PTH118 (relative_to takes ten times as long)
    text = f"{seed}\0{unicodedata.normalize('NFC', inside.replace(os.sep, '/'))}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
