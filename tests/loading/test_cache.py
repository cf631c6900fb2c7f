"""The cache of decoded images: large enough for every crop, the same whoever fills or reads it, bounded by memory."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobilevit.datasets.box_target import Boxes
from mobilevit.datasets.sample import Sample
from mobilevit.errors import ImageError, OutOfMemoryError
from mobilevit.images.decoding import decode
from mobilevit.images.transforms import AugmentConfig, Geometry, Size, eval_geometry, kept_geometry
from mobilevit.loading import cache
from mobilevit.loading.batch import Batch
from mobilevit.loading.cache import ImageCache, Limit, Plan, free_memory, must_fit
from mobilevit.loading.loader import ImageDataset, eval_loader, train_loader
from mobilevit.loading.multiscale import MultiScaleConfig, MultiScaleSampler
from mobilevit.spec import Preprocessing
from mobilevit.tasks import TASKS
from mobilevit.tasks.classification.task import ClassificationTask

PREPROCESSING = Preprocessing(image_size=32, resize_px=36)
AUGMENT = AugmentConfig(crop_area_min=0.3)
TASK = ClassificationTask()
LARGEST_PX = 40


def kept(size: Size) -> Geometry:
    return kept_geometry(size, TASK.smallest_crop(size, AUGMENT), LARGEST_PX)


def evaluated(size: Size) -> Geometry:
    return eval_geometry(size, PREPROCESSING)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, ...]:
    """Some that are reduced, some that are too small for that; the first turned by its EXIF orientation."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    found = []
    for index in range(13):
        side = 30 + 20 * index
        image = Image.fromarray(rng.integers(0, 256, (side, side + 10, 3), dtype=np.uint8))
        exif = Image.Exif()
        exif[274] = 6 if index == 0 else 1
        path = folder / f"{index:02}.{'png' if index % 2 else 'jpg'}"
        image.save(path, exif=exif)
        found.append(Sample(path, index % 3))
    return tuple(found)


sides, ratios = st.integers(1, 600), st.floats(1, 4)


@pytest.mark.parametrize("task", TASKS)
@given(size=st.tuples(sides, sides), area=st.floats(0.01, 1), ratio=ratios, image_size=st.integers(8, 320), seed=sides)
def test_no_crop_is_enlarged_that_was_not_to_be_anyway(
    task: str, size: Size, area: float, ratio: float, image_size: int, seed: int
) -> None:
    augment = AugmentConfig(crop_area_min=area, crop_ratio_max=ratio)
    smallest = TASKS[task].smallest_crop(size, augment)
    geometry = kept_geometry(size, smallest, image_size)
    target = Boxes.of([[0, 0, size[0] / 2, size[1] / 2]], [0], size)
    for draw in range(5):
        crop = TASKS[task].train_geometry(np.random.default_rng((seed, draw)), size, target, image_size, augment)
        left, top, right, bottom = crop.box
        assert min(right - left, bottom - top) >= smallest
        for side, whole, kept_side in zip((right - left, bottom - top), size, geometry.output, strict=True):
            assert kept_side <= whole
            assert side * kept_side / whole >= min(image_size, side) - 1e-9


def test_what_is_kept_is_the_files_own(samples: tuple[Sample, ...]) -> None:
    filled = Plan.of(samples, kept).fill(shared=False)
    assert len(filled) == len(samples)
    reduced = 0
    for index, sample in enumerate(samples):
        image, found = decode(sample.path), filled[index]
        assert found.header.size == image.size
        reduced += found.image.size != image.size
        if found.image.size == image.size:
            assert np.array_equal(found.image, image)
        near = image.resize((8, 8), Image.Resampling.BOX)
        difference = np.asarray(found.image.resize((8, 8), Image.Resampling.BOX), float) - np.asarray(near, float)
        assert abs(difference).mean() < 6
    assert 0 < reduced < len(samples)


def test_who_fills_it_and_where_it_lies_change_nothing(samples: tuple[Sample, ...]) -> None:
    plan = Plan.of(samples, kept)
    filled = plan.fill(shared=False)
    assert filled.pixels.numel() == plan.bytes
    assert torch.equal(plan.fill(shared=True).pixels, filled.pixels)
    other = Plan.of(samples[::-1], kept).fill(shared=False)
    for index in range(len(samples)):
        assert np.array_equal(other[len(samples) - 1 - index].image, filled[index].image)


def batches(
    samples: tuple[Sample, ...], filled: ImageCache | None, num_workers: int, context: str = "fork"
) -> list[Batch]:
    dataset = ImageDataset(samples, TASK, seed=0, augment=AUGMENT, preprocessing=PREPROCESSING, cache=filled)
    scale = MultiScaleConfig(image_size=32, batch_size=4, divisor=8)
    sampler = MultiScaleSampler(len(samples), scale, seed=0)
    assert max(size for size, _ in sampler.schedule.choices) == LARGEST_PX
    loader = train_loader(dataset, sampler, num_workers)
    if num_workers:
        loader.multiprocessing_context = multiprocessing.get_context(context)
    return [batch for epoch in range(2) for batch in _epoch(loader, sampler, epoch)]


def _epoch(loader: object, sampler: MultiScaleSampler, epoch: int) -> list[Batch]:
    sampler.set_epoch(epoch)
    return list(loader)  # type: ignore[call-overload,no-any-return]


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    assert len(found) == len(expected) > 2
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.targets, other.targets)
        assert torch.equal(one.indices, other.indices)


def test_workers_read_the_same_pixels_however_they_start(samples: tuple[Sample, ...]) -> None:
    filled = Plan.of(samples, kept).fill(shared=True)
    alone = batches(samples, filled, 0)
    assert_same(batches(samples, filled, 2), alone)
    assert_same(batches(samples, filled, 1, "spawn"), alone)


def test_images_that_are_kept_whole_train_as_from_their_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    small = []
    for index in range(9):
        Image.fromarray(rng.integers(0, 256, (40, 44, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        small.append(Sample(tmp_path / f"{index}.png", index % 3))
    filled = Plan.of(small, kept).fill(shared=False)
    assert_same(batches(tuple(small), filled, 0), batches(tuple(small), None, 0))


def test_evaluation_is_the_same_with_it(samples: tuple[Sample, ...]) -> None:
    filled = Plan.of(samples, evaluated).fill(shared=False)
    found, expected = (
        list(
            eval_loader(
                ImageDataset(samples, TASK, seed=0, augment=None, preprocessing=PREPROCESSING, cache=each), 5, 0
            )
        )
        for each in (filled, None)
    )
    assert len(found) == len(expected) == 3
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.images, other.images)


@pytest.mark.parametrize("spoil", [lambda data: data[:600], lambda data: data[::-1]])
def test_a_broken_image_is_named_as_without_it(
    samples: tuple[Sample, ...], spoil: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(spoil(samples[2].path.read_bytes()))
    with pytest.raises(ImageError) as direct:
        decode(broken)
    with pytest.raises(ImageError) as found:
        Plan.of((*samples, Sample(broken, 0)), kept).fill(shared=False)
    assert str(found.value) == str(direct.value)


def test_what_does_not_fit_is_refused_before_anything_is_decoded(
    samples: tuple[Sample, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan.of(samples, kept)
    limits = [Limit("memory", 10 * plan.bytes), Limit("the box", 2 * plan.bytes, ", or take a larger box")]
    monkeypatch.setattr(cache, "free_memory", lambda **_: iter(limits))
    must_fit([plan], processes=1, shared=True)
    with pytest.raises(
        OutOfMemoryError, match=r"do not fit into the box: 13 of them .* in each of 2 processes.*larger box"
    ):
        must_fit([plan], processes=2, shared=True)


def test_the_memory_of_this_machine_is_known() -> None:
    limits = list(free_memory(shared=True))
    if not Path("/proc/meminfo").is_file():
        pytest.skip("only Linux says how much memory is free")
    assert limits[0].name == "memory"
    assert min(limit.free_bytes for limit in limits) > 0
    assert len(list(free_memory(shared=False))) <= len(limits)
