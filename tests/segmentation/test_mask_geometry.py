"""Laws of runs and outlines: there and back is exact, and COCO's own functions agree."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilevit.datasets.outlines import unpacked
from mobilevit.datasets.polygons import filled, outlines
from mobilevit.datasets.runs import mask_of, packed, runs_of

SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))


def mask(seed: int, shape: tuple[int, int], coarse: int = 1) -> np.ndarray:
    """Random pixels, or blocks of some."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((shape[0] // coarse + 1, shape[1] // coarse + 1)) < rng.random()
    return np.kron(blocks, np.ones((coarse, coarse), bool))[: shape[0], : shape[1]]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**31), shape=SHAPES, coarse=st.integers(1, 6))
def test_runs_there_and_back(seed: int, shape: tuple[int, int], coarse: int) -> None:
    where = mask(seed, shape, coarse)
    runs = runs_of(where)
    assert sum(runs) == where.size and all(run > 0 for run in runs[1:])
    np.testing.assert_array_equal(mask_of(runs, shape[::-1]), where)
    assert unpacked(packed(runs)) == runs


@settings(max_examples=100, deadline=None)
@given(runs=st.lists(st.integers(0, 2**40), max_size=12))
def test_any_runs_can_be_packed(runs: list[int]) -> None:
    assert unpacked(packed(runs)) == runs


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**31), shape=SHAPES, coarse=st.integers(1, 6))
def test_outlines_there_and_back(seed: int, shape: tuple[int, int], coarse: int) -> None:
    """No pixel twice, none lost, however many holes there are and wherever pixels touch."""
    where = mask(seed, shape, coarse)
    parts = [filled(np.array(loop, np.float64), shape[::-1]) for loop in outlines(where)]
    times = np.sum([np.zeros(shape, int), *parts], axis=0)
    np.testing.assert_array_equal(times, where)


def test_outlines_have_corners_alone_and_no_holes() -> None:
    ring = np.ones((9, 12), bool)
    ring[3:6, 4:8] = False
    loops = outlines(ring)
    assert sorted(map(len, loops)) == [4, 8]
    assert all({(x0 == x1), (y0 == y1)} == {True, False} for loop in loops for (x0, y0), (x1, y1) in pairwise(loop))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), corners=st.integers(3, 9))
def test_a_polygon_is_filled_where_centers_lie_inside(seed: int, corners: int) -> None:
    """Against the winding of each center, one by one; corners may lie outside."""
    points = np.random.default_rng(seed).uniform(-6, 26, (corners, 2))
    found = filled(points, (20, 15))
    for y, x in np.ndindex(found.shape):
        inside = False
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if (y0 > y + 0.5) != (y1 > y + 0.5) and x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0) < x + 0.5:
                inside = not inside
        assert found[y, x] == inside


def test_hostile_corners_take_no_memory() -> None:
    points = np.array([[-1e300, -1e300], [1e300, 5.0], [3.0, 1e300]])
    with np.errstate(all="ignore"):
        assert filled(points, (8, 6)).shape == (6, 8)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), shape=SHAPES, coarse=st.integers(1, 6))
def test_coco_agrees(seed: int, shape: tuple[int, int], coarse: int) -> None:
    """Its runs are ours; its filling of our outlines is the mask; of others it differs next to the outline alone."""
    coco = pytest.importorskip("faster_coco_eval.core.mask")
    where = mask(seed, shape, coarse)
    ours = {"size": list(shape), "counts": packed(runs_of(where))}
    np.testing.assert_array_equal(coco.decode({**ours, "counts": ours["counts"].encode()}), where)
    theirs = coco.encode(np.asfortranarray(where.astype(np.uint8)))["counts"]
    assert ours["counts"] == (theirs.decode() if isinstance(theirs, bytes) else theirs)
    loops = [[float(value) for point in loop for value in point] for loop in outlines(where)]
    if loops:
        rles = coco.frPyObjects(loops, *shape)
        np.testing.assert_array_equal(coco.decode(coco.merge(rles)), where)
    points = np.random.default_rng(seed).uniform(0, 1, (5, 2)) * shape[::-1]
    (rle,) = coco.frPyObjects([points.ravel().tolist()], *shape)
    differs = coco.decode(rle).astype(bool) != filled(points, shape[::-1])
    for y, x in np.argwhere(differs).tolist():
        assert _distance(points, (x + 0.5, y + 0.5)) <= 1.0


def _distance(points: np.ndarray, center: tuple[float, float]) -> float:
    """From a point to the nearest edge of a polygon."""
    starts, ends = points, np.roll(points, -1, axis=0)
    along = ends - starts
    place = (((center - starts) * along).sum(axis=1) / (along**2).sum(axis=1)).clip(0, 1)
    return float(np.linalg.norm(starts + along * place[:, None] - center, axis=1).min())
