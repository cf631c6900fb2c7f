"""What training sees: crops inside the image that show an object, and boxes that follow their image."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilevit.datasets.box_target import Boxes
from mobilevit.images.transforms import AugmentConfig, Geometry
from mobilevit.tasks.detection.crops import OVERLAPS, random_crop, seen, train_geometry
from mobilevit.tasks.detection.matching import collate

PAPER = AugmentConfig(crop_area_min=0.09, crop_ratio_max=2.0, photometric=True)


@st.composite
def targets(draw: st.DrawFn, least: int = 0) -> Boxes:
    """Boxes in whole pixels, in images of any shape."""
    width, height = draw(st.integers(4, 900)), draw(st.integers(4, 900))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    count = draw(st.integers(least, 12))
    starts = (rng.random((count, 2)) * [width - 2, height - 2]).astype(int)
    ends = starts + 1 + (rng.random((count, 2)) * ([width, height] - starts - 1)).astype(int)
    return Boxes.of(
        np.concatenate([starts, ends], 1), rng.integers(0, 3, count), (width, height), rng.random(count) < 0.1
    )


configs = st.builds(
    AugmentConfig,
    crop_area_min=st.sampled_from([0.01, 0.09, 0.5, 1.0]),
    crop_ratio_max=st.sampled_from([1.0, 4 / 3, 2.0]),
)


@given(targets(), configs, st.integers(0, 10**6))
@settings(deadline=None, max_examples=200)
def test_a_crop_lies_in_the_image_and_shows_an_object(target: Boxes, config: AugmentConfig, seed: int) -> None:
    geometry = train_geometry(np.random.default_rng(seed), target.size, target, 64, config)
    left, top, right, bottom = geometry.box
    width, height = target.size
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert geometry.box == tuple(map(int, geometry.box))
    if geometry.box != (0, 0, width, height):
        sides = (right - left) / width, (bottom - top) / height
        assert min(sides) >= config.crop_area_min**0.5 - 0.5 / min(target.size)
        assert max((right - left) / (bottom - top), (bottom - top) / (right - left)) <= config.crop_ratio_max
    counted = target.counted()
    if len(counted):
        assert len(seen(counted, geometry).labels) > 0


@given(targets(), configs, st.integers(0, 10**6))
@settings(deadline=None)
def test_the_same_numbers_give_the_same_crop(target: Boxes, config: AugmentConfig, seed: int) -> None:
    first, second = (train_geometry(np.random.default_rng(seed), target.size, target, 64, config) for _ in range(2))
    assert first == second


@given(targets(), st.integers(0, 10**6), st.booleans())
@settings(deadline=None)
def test_boxes_follow_their_image(target: Boxes, seed: int, flip: bool) -> None:
    geometry = replace(train_geometry(np.random.default_rng(seed), target.size, target, 64, PAPER), flip=flip)
    left, top, right, bottom = geometry.box
    expected = []
    for (x1, y1, x2, y2), label, ignored in zip(target.boxes, target.labels, target.ignore, strict=True):
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        if not ignored and left < x < right and top < y < bottom:
            start, end = (max(x1, left) - left) / (right - left), (min(x2, right) - left) / (right - left)
            start, end = (1 - end, 1 - start) if flip else (start, end)
            high, low = (max(y1, top) - top) / (bottom - top), (min(y2, bottom) - top) / (bottom - top)
            expected.append((start, high, end, low, label))
    found = seen(target, geometry)
    assert found.boxes.dtype == np.float32
    np.testing.assert_allclose(
        np.column_stack([found.boxes, found.labels]).reshape(-1, 5), np.array(expected).reshape(-1, 5), atol=1e-5
    )


def test_a_box_lies_where_its_pixels_do() -> None:
    image = Image.new("RGB", (300, 200))
    target = Boxes.of([(120, 60, 180, 100)], [0], image.size)
    image.paste("#ffffff", (120, 60, 180, 100))
    for seed in range(20):
        geometry = train_geometry(np.random.default_rng(seed), image.size, target, 100, PAPER)
        bright = np.asarray(geometry.image(image).convert("L")) > 127
        rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
        [box] = seen(target, geometry).boxes * 100
        np.testing.assert_allclose(box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=1.01)


def test_every_overlap_is_used_and_kept() -> None:
    box, size = np.array([[30, 30, 70, 70]], np.float32), (100, 100)
    rng, ious = np.random.default_rng(0), []
    for _ in range(400):
        left, top, right, bottom = random_crop(rng, size, box, PAPER)
        shared = max(0, min(right, 70) - max(left, 30)) * max(0, min(bottom, 70) - max(top, 30))
        ious.append(shared / ((right - left) * (bottom - top) + 1600 - shared))
    assert min(ious) >= min(overlap for overlap in OVERLAPS if overlap)
    counts, _ = np.histogram(ious, [0.1, 0.3, 0.5, 0.7, 1.0])
    assert (counts >= 5).all(), counts


def test_small_objects_alone_leave_the_image_whole_or_nearly() -> None:
    """No crop of a third of the sides overlaps a box of five pixels by a tenth: all options but one fail."""
    box, rng = np.array([[50, 50, 55, 55]], np.float32), np.random.default_rng(0)
    assert {random_crop(rng, (640, 480), box, PAPER) for _ in range(20)} == {(0.0, 0.0, 640.0, 480.0)}


def test_images_without_objects_are_cropped_too() -> None:
    rng, nothing = np.random.default_rng(0), np.empty((0, 4), np.float32)
    crops = {random_crop(rng, (640, 480), nothing, PAPER) for _ in range(60)}
    assert (0.0, 0.0, 640.0, 480.0) in crops
    assert len(crops) > 30


@given(st.lists(targets(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_a_batch_holds_every_box(batch: list[Boxes]) -> None:
    parts = [seen(target, Geometry(target.size, (0, 0, *target.size), (64, 64))) for target in batch]
    collated = collate(parts).to("cpu", non_blocking=True)
    assert collated.boxes.shape == (*collated.labels.shape, 4)
    assert collated.labels.shape[1] >= 1
    for part, boxes, labels in zip(parts, collated.boxes, collated.labels, strict=True):
        there = labels >= 0
        np.testing.assert_array_equal(boxes[there], part.boxes)
        np.testing.assert_array_equal(labels[there], part.labels)
        assert not boxes[~there].any()


def test_flipping_can_be_switched_off() -> None:
    target = Boxes.of([], [], (50, 50))
    config = AugmentConfig(flip=False)
    assert not any(train_geometry(np.random.default_rng(s), (50, 50), target, 32, config).flip for s in range(20))
