"""Finds images that are the same byte for byte, and those that are nearly the same: copies of another size or quality,
and neighboring frames of a video, which no fingerprint can tell from copies."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mobilevit.datasets.image_inspection import Examined

MAX_BITS = 3  # of 64 in which the fingerprints of copies may differ; found by four bands of 16 bits, one of them equal
MAX_STEP = 8  # of 255, in any pixel of the thumbnails. A copy of half the size at JPEG quality 75 stays below 5
MAX_NEIGHBORS = 250  # images of one band that each is compared with: bounds the work where thousands are alike


def same_images(images: Sequence[Examined]) -> list[list[int]]:
    """Groups of indices into `images`, two or more in each, in order: the same file or nearly the same image."""
    if not images:
        return []
    equal: dict[bytes, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        equal[image.digest].append(index)
    links = [(group[0], other) for group in equal.values() for other in group[1:]]
    firsts = np.array([group[0] for group in equal.values()])
    near = near_pairs(
        np.array([images[index].fingerprint for index in firsts], dtype=np.uint64),
        np.array([list(images[index].thumbnail) for index in firsts], dtype=np.uint8),
    )
    return _join(len(images), [*links, *((int(firsts[a]), int(firsts[b])) for a, b in near)])


def near_pairs(fingerprints: NDArray[np.uint64], thumbnails: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """Index pairs of nearly equal images, from (N,) fingerprints and (N, 192) thumbnails.

    Two numbers of 64 bits that differ in at most three bits agree in one of four bands of 16: sort by each band, and
    compare neighbors at growing distance while their band is the same. Where thousands share a band, those of like
    brightness are neighbors.
    """
    pairs: set[tuple[int, int]] = set()
    brightness = thumbnails.mean(axis=1)
    for band in range(4):
        keys = (fingerprints >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        order = np.lexsort((brightness, fingerprints, keys))
        places = np.arange(len(order))
        for distance in range(1, min(MAX_NEIGHBORS, len(order))):
            places = places[: np.searchsorted(places, len(order) - distance)]
            places = places[keys[order[places]] == keys[order[places + distance]]]
            if not len(places):
                break
            pairs |= _alike(order[places], order[places + distance], fingerprints, thumbnails)
    return pairs


def _alike(
    left: NDArray[np.intp], right: NDArray[np.intp], fingerprints: NDArray[np.uint64], thumbnails: NDArray[np.uint8]
) -> set[tuple[int, int]]:
    """Those pairs (left[i], right[i]) whose fingerprints and thumbnails are close."""
    close = _bits(fingerprints[left] ^ fingerprints[right]) <= MAX_BITS
    left, right = left[close], right[close]
    one, other = thumbnails[left], thumbnails[right]
    close = (np.maximum(one, other) - np.minimum(one, other)).max(axis=1, initial=0) <= MAX_STEP
    return {(min(pair), max(pair)) for pair in zip(left[close].tolist(), right[close].tolist(), strict=True)}


def _bits(words: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(N,) uint64 to the number of bits set in each."""
    counts: NDArray[np.uint8] = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.uint8)
    return counts


def _join(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Indices that links connect, in groups."""
    parents = list(range(count))

    def top(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for one, other in links:
        one, other = sorted((top(one), top(other)))
        parents[other] = one
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        groups[top(index)].append(index)
    return [group for group in groups.values() if len(group) > 1]
