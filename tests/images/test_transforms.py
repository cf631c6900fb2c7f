"""Crops, flips and sizes: where they lie, that one step equals two, and that nothing but the seed decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mobilevit.errors import UsageError
from mobilevit.images.decoding import decode
from mobilevit.images.transforms import FILTERS, AugmentConfig, eval_geometry, pixels_of, train_geometry
from mobilevit.loading.batch import prepare
from mobilevit.loading.randomness import generator
from mobilevit.spec import Interpolation, Preprocessing

SIDES = st.integers(1, 400)
PAPER = AugmentConfig(crop_area_min=0.08)


def noise(width: int, height: int, low: int = 0, high: int = 256) -> Image.Image:
    pixels = np.random.default_rng(0).integers(low, high, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def two_steps(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Evaluation as the paper's code writes it: resize the whole image, then cut its center out."""
    short, crop = min(image.size), preprocessing.image_size
    width, height = (side * preprocessing.resize_px // short for side in image.size)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    resized = image.resize((width, height), FILTERS[preprocessing.interpolation])
    return resized.crop((left, top, left + crop, top + crop))


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(1, 96), st.integers(0, 32), st.sampled_from(["bilinear", "bicubic"]))
def test_one_step_of_evaluation_equals_two(
    width: int, height: int, image_size: int, margin_px: int, interpolation: Interpolation
) -> None:
    if max(width, height) > 40 * min(width, height):
        height = width  # the two steps would take too long; see the test of elongated images
    # Bicubic goes beyond black and white, where Pillow cuts it off after the axis that it happens to take first.
    image = noise(width, height) if interpolation == "bilinear" else noise(width, height, 96, 160)
    preprocessing = Preprocessing(image_size, image_size + margin_px, interpolation)
    one = np.asarray(eval_geometry(image.size, preprocessing).image(image), dtype=int)
    distance = np.abs(one - np.asarray(two_steps(image, preprocessing), dtype=int))
    assert distance.max() <= 2, "Pillow rounds between the axes, and may take them in another order"


@pytest.mark.parametrize("size", [(1, 100_000), (100_000, 1), (1, 1), (2, 3)])
def test_elongated_and_tiny_images_cost_no_memory(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (10, 20, 30))  # resized first, 1 x 100000 pixels would take 25 GB
    for geometry in (eval_geometry(size, Preprocessing()), train_geometry(np.random.default_rng(0), size, 256, PAPER)):
        assert geometry.image(image).size == (256, 256)
        assert geometry.image(image).getpixel((128, 128)) == (10, 20, 30)


def test_a_crop_larger_than_the_resized_image_is_refused() -> None:
    with pytest.raises(UsageError, match="resize to 224 px is smaller than the crop of 256 px"):
        eval_geometry((640, 480), Preprocessing(image_size=256, resize_px=224))


@settings(deadline=None)
@given(SIDES, SIDES, st.integers(1, 400), st.integers(0, 2**32), st.floats(0.01, 1.0), st.floats(1.0, 3.0))
def test_random_crops_lie_inside_and_keep_their_bounds(
    width: int, height: int, image_size: int, seed: int, area_min: float, ratio_max: float
) -> None:
    config = AugmentConfig(crop_area_min=area_min, crop_ratio_max=ratio_max)
    geometry = train_geometry(np.random.default_rng(seed), (width, height), image_size, config)
    left, top, right, bottom = geometry.box
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert geometry.output == (image_size, image_size)
    crop_width, crop_height = right - left, bottom - top
    fallback = (
        min(width, round(height * ratio_max)) == crop_width and min(height, round(width * ratio_max)) == crop_height
    )
    if not fallback:  # half a pixel of rounding on either side
        assert (crop_width + 0.5) * (crop_height + 0.5) >= area_min * width * height - 1e-6
    assert crop_width - 0.5 <= ratio_max * (crop_height + 0.5) + 1e-6 or crop_height == 1
    assert crop_height - 0.5 <= ratio_max * (crop_width + 0.5) + 1e-6 or crop_width == 1


def test_area_is_uniform_and_ratio_log_uniform() -> None:
    rng = np.random.default_rng(0)
    boxes = [train_geometry(rng, (1000, 1000), 64, AugmentConfig(crop_area_min=0.08)).box for _ in range(4000)]
    sizes = np.array([(right - left, bottom - top) for left, top, right, bottom in boxes])
    area, log_ratio = sizes.prod(axis=1) / 1e6, np.log(sizes[:, 0] / sizes[:, 1])
    small = area < 0.7  # larger ones are turned down where their ratio does not fit
    assert abs(np.median(area[small]) - 0.39) < 0.02
    assert abs(log_ratio[small].mean()) < 0.01
    assert abs(log_ratio[small].std() - math.log(4 / 3) / math.sqrt(3)) < 0.01


def test_half_of_the_images_are_mirrored_or_none() -> None:
    rng = np.random.default_rng(0)
    flips = [train_geometry(rng, (50, 50), 32, PAPER).flip for _ in range(1000)]
    assert 430 < sum(flips) < 570
    assert not any(train_geometry(rng, (50, 50), 32, replace(PAPER, flip=False)).flip for _ in range(100))


def test_switching_flips_off_leaves_the_crops_as_they_were() -> None:
    for seed in range(20):
        first = train_geometry(generator("sample", seed, 0), (300, 200), 64, PAPER)
        second = train_geometry(generator("sample", seed, 0), (300, 200), 64, replace(PAPER, flip=False))
        assert first.box == second.box


def test_mirrored_means_mirrored() -> None:
    image = noise(60, 40)
    geometry = eval_geometry(image.size, Preprocessing(32, 36))
    mirrored = np.asarray(replace(geometry, flip=True).image(image))
    assert (mirrored == np.asarray(geometry.image(image))[:, ::-1]).all()


def test_reduced_decoding_shows_the_same_part(tmp_path: object) -> None:
    x, y = np.meshgrid(np.linspace(0, 255, 1600), np.linspace(0, 255, 1200))
    path = f"{tmp_path}/gradient.jpg"
    Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8)).save(path, quality=95)
    for seed in range(10):
        geometry = train_geometry(np.random.default_rng(seed), (1600, 1200), 128, PAPER)
        small, full = decode(path, draft_px=geometry.draft_px), decode(path)
        box_width = (geometry.box[2] - geometry.box[0]) * small.width / full.width
        assert box_width > 127, "the crop is not enlarged"
        distance = np.abs(np.asarray(geometry.image(small), dtype=int) - np.asarray(geometry.image(full), dtype=int))
        assert distance.mean() < 2


def test_evaluation_decodes_in_full() -> None:
    assert eval_geometry((4000, 3000), Preprocessing()).draft_px is None


def test_generators_depend_on_all_they_are_for() -> None:
    firsts = [
        generator(purpose, seed, epoch, index).random()
        for purpose in ("order", "schedule", "sample")
        for seed in (0, 1, -1)
        for epoch in (0, 1)
        for index in (0, 1)
    ]
    assert len(set(firsts)) == len(firsts)
    assert generator("sample", 5, 6, 7).random() == generator("sample", 5, 6, 7).random()


def test_pixels_and_the_models_input() -> None:
    image = noise(5, 7)
    pixels = pixels_of(image)
    assert (pixels.shape, pixels.dtype) == ((3, 7, 5), np.uint8)
    assert (pixels.transpose(1, 2, 0) == np.asarray(image)).all()
    tensor = torch.from_numpy(pixels)
    images = torch.stack([tensor, tensor.flip(2)])
    for order, expected in (("rgb", images), ("bgr", images[:, [2, 1, 0]])):
        for dtype in (torch.float32, torch.float64):
            prepared = prepare(images, order, dtype)  # type: ignore[arg-type]
            assert prepared.dtype == dtype and prepared.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(prepared, expected.to(dtype) / 255)
    assert images.dtype == torch.uint8


@pytest.mark.parametrize(
    "options",
    [{"crop_area_min": 0.0}, {"crop_area_min": 1.1}, {"crop_ratio_max": 0.5}, {"mixup": -1.0}, {"erasing": 1.5}],
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(options))}`"):
        AugmentConfig(**options)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.integers(0, 2**32), st.booleans())
def test_boxes_and_masks_follow_the_image(width: int, height: int, seed: int, flip: bool) -> None:
    """A white rectangle is where its box says, and where its mask says."""
    rng = np.random.default_rng(seed)
    left, top = int(rng.integers(width - 4)), int(rng.integers(height - 4))
    right, bottom = int(rng.integers(left + 4, width + 1)), int(rng.integers(top + 4, height + 1))
    pixels = np.zeros((height, width), np.uint8)
    pixels[top:bottom, left:right] = 255
    geometry = replace(train_geometry(rng, (width, height), 64, PAPER), flip=flip, reduced=False)
    seen = np.asarray(geometry.image(Image.fromarray(pixels).convert("RGB")))[..., 0]
    mask = np.asarray(geometry.mask(Image.fromarray(pixels)))
    assert np.abs(mask.astype(int) - seen)[(seen == 0) | (seen == 255)].max(initial=0) == 0
    (box,) = geometry.boxes(np.array([[left, top, right, bottom]], np.float32)) * 64
    for axis, (low, high) in enumerate(((box[0], box[2]), (box[1], box[3]))):
        inside = np.flatnonzero((mask == 255).any(axis=axis))
        if len(inside):  # a pixel of the mask is inside where its center is
            assert inside[0] + 0.5 >= max(low, 0) - 0.51
            assert inside[-1] + 0.5 <= min(high, 64) + 0.51


def test_a_stretched_image_is_seen_whole() -> None:
    geometry = eval_geometry((200, 50), Preprocessing(64, fit="stretch"))
    assert geometry.box == (0, 0, 200, 50)
    assert geometry.output == (64, 64)
    boxes = np.array([[0, 0, 200, 50], [50, 25, 100, 50]], np.float32)
    assert geometry.boxes(boxes).tolist() == [[0, 0, 1, 1], [0.25, 0.5, 0.5, 1]]
