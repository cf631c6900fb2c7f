"""What training sees and minimizes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from mobilevit.datasets.options import ReadOptions
from mobilevit.errors import ImageError, UsageError
from mobilevit.images.transforms import AugmentConfig, Geometry
from mobilevit.loading.batch import Key
from mobilevit.loading.loader import ImageDataset
from mobilevit.models.deeplabv3 import SegmentationOutput
from mobilevit.spec import Preprocessing
from mobilevit.tasks.base import Loss, LossOptions
from mobilevit.tasks.segmentation.geometry import random_crop, train_geometry
from mobilevit.tasks.segmentation.loss import PIXELS
from mobilevit.tasks.segmentation.task import SegmentationTask

TASK = SegmentationTask()
SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@settings(max_examples=200, deadline=None)
@given(size=SIZES, seed=st.integers(0, 2**31), area=st.floats(0.01, 1), ratio=st.floats(1, 4))
def test_a_crop_lies_inside_and_keeps_its_bounds(size: tuple[int, int], seed: int, area: float, ratio: float) -> None:
    config = AugmentConfig(crop_area_min=area, crop_ratio_max=ratio)
    left, top, right, bottom = random_crop(np.random.default_rng(seed), size, config)
    width, height = right - left, bottom - top
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (width - 0.5) / (height + 0.5) <= ratio * 1.0001
    assert (height - 0.5) / (width + 0.5) <= ratio * 1.0001
    shortest = min(size) * area**0.5 / ratio
    assert min(width, height) >= shortest - 0.5001


def test_the_papers_crops() -> None:
    """Squares of a half to all of the short side, all of it in a third of the cases."""
    rng, config = np.random.default_rng(0), AugmentConfig(crop_area_min=0.25, crop_ratio_max=1.0)
    boxes = np.array([random_crop(rng, (900, 600), config) for _ in range(4000)])
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_array_equal(sides[:, 0], sides[:, 1])
    assert 300 <= sides.min() < 306
    assert sides.max() == 600
    assert (sides == 600).all(axis=1).mean() == pytest.approx(1 / 3, abs=0.03)
    assert boxes[:, 0].max() > 500
    assert len(np.unique(boxes[sides[:, 1] < 500, 1])) > 100


def test_ratios_let_a_crop_be_the_whole_image() -> None:
    rng, config = np.random.default_rng(0), AugmentConfig()
    boxes = [random_crop(rng, (640, 480), config) for _ in range(300)]
    assert max((right - left) * (bottom - top) for left, top, right, bottom in boxes) > 0.95 * 640 * 480


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(8, 90), st.integers(8, 90)))
def test_a_mask_follows_its_image(seed: int, size: tuple[int, int]) -> None:
    """Of an image that is its own mask, both are the same but for the rims, where colors mix."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((size[1], size[0]), np.uint8)
    classes[rng.integers(size[1] // 2) :, rng.integers(size[0] // 2) :] = 1
    geometry = train_geometry(rng, size, 64, AugmentConfig())
    image = np.asarray(geometry.image(Image.fromarray(classes * 255)))
    mask = np.asarray(geometry.mask(Image.fromarray(classes)))
    sure = (image < 64) | (image > 191)
    np.testing.assert_array_equal(mask[sure], image[sure] > 128)


def test_images_are_never_mirrored_where_that_is_off() -> None:
    rng, config = np.random.default_rng(0), AugmentConfig(flip=False)
    assert not any(train_geometry(rng, (40, 30), 32, config).flip for _ in range(30))


def test_the_loader_gives_image_and_mask_together(squares: Callable[[Mapping[str, int]], Path]) -> None:
    dataset = TASK.read(squares({"train": 6, "val": 2}), ReadOptions())
    preprocessing = Preprocessing(image_size=64, fit="stretch")
    images = ImageDataset(dataset.splits["train"], TASK, seed=3, augment=AugmentConfig(), preprocessing=preprocessing)
    items = [images[Key(index, 0, 96)] for index in range(6)]
    masks = images.collate([item.target for item in items])
    assert (masks.shape, masks.dtype) == ((6, 96, 96), torch.uint8)
    for item, mask in zip(items, masks, strict=True):
        square = item.image[0][mask.numpy() == 1]
        around = item.image[0][mask.numpy() == 0]
        assert square.size == 0 or square.mean() > around.mean() + 60
    again = images[Key(2, 0, 96)]
    np.testing.assert_array_equal(again.image, items[2].image)
    np.testing.assert_array_equal(again.target, items[2].target)
    truth = ImageDataset(dataset.splits["val"], TASK, seed=0, augment=None, preprocessing=preprocessing)
    assert truth[Key(0, 0, 64)].target.shape == (36, 48)


def test_a_mask_of_another_size_stops_training_with_its_name(squares: Callable[[Mapping[str, int]], Path]) -> None:
    root = squares({"train": 4, "val": 1})
    path = root / "train/masks/001.png"
    Image.open(path).resize((20, 20), Image.Resampling.NEAREST).save(path)
    sample = TASK.read(root, ReadOptions()).splits["train"][1]
    for look in (
        lambda: TASK.transform_target(sample.target, Geometry((48, 36), (0, 0, 48, 36), (32, 32))),
        lambda: TASK.load_target(sample.target),
    ):
        with pytest.raises(ImageError, match=r"train/masks/001\.png is 20 x 20, but its image is 48 x 36"):
            look()


def random_batch(seed: int, classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, classes, 9, 7), generator=generator, dtype=torch.float64)
    targets = torch.randint(0, classes, (2, 9, 7), generator=generator, dtype=torch.uint8)
    targets[torch.rand(targets.shape, generator=generator) < 0.3] = 255
    return logits, targets


def loss(
    logits: Tensor,
    targets: Tensor,
    *,
    auxiliary: Tensor | None = None,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Loss:
    return TASK.loss(SegmentationOutput(logits, auxiliary), targets, LossOptions(label_smoothing, class_weights))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), smoothing=st.sampled_from([0.0, 0.1]))
def test_the_loss_is_the_mean_over_the_pixels_that_count(seed: int, smoothing: float) -> None:
    logits, targets = random_batch(seed)
    expected = F.cross_entropy(logits, targets.long(), ignore_index=255, label_smoothing=smoothing)
    found = loss(logits, targets, label_smoothing=smoothing)
    torch.testing.assert_close((found.total / found.count).double(), expected, rtol=1e-5, atol=0)
    assert float(found.count) == pytest.approx(float((targets != 255).sum()) / PIXELS)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_class_weights_are_those_of_torch(seed: int) -> None:
    logits, targets = random_batch(seed)
    weights = torch.tensor([0.5, 2.0, 1.0])
    expected = F.cross_entropy(logits, targets.long(), weight=weights.double(), ignore_index=255)
    found = loss(logits, targets, class_weights=weights)
    torch.testing.assert_close((found.total / found.count).double(), expected, rtol=1e-5, atol=0)


def test_any_split_of_a_batch_adds_up() -> None:
    logits, targets = random_batch(5)
    whole = loss(logits, targets)
    parts = [loss(logits[i : i + 1], targets[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    torch.testing.assert_close(sum(part.count for part in parts), whole.count)


def test_the_auxiliary_head_counts_for_less() -> None:
    logits, targets = random_batch(7)
    auxiliary = torch.randn((2, 3, 3, 2), dtype=torch.float64)
    grown = F.interpolate(auxiliary, size=(9, 7), mode="bilinear", align_corners=False)
    found, main, aside = loss(logits, targets, auxiliary=auxiliary), loss(logits, targets), loss(grown, targets)
    torch.testing.assert_close(found.total, main.total + 0.4 * aside.total)
    torch.testing.assert_close(found.count, main.count)


def test_nothing_but_ignored_pixels_gives_zeros() -> None:
    logits, targets = random_batch(1)
    logits.requires_grad_()
    found = loss(logits, torch.full_like(targets, 255), label_smoothing=0.1, class_weights=torch.ones(3))
    found.total.backward()
    assert float(found.total.detach()) == float(found.count) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_options_that_know_no_masks_are_refused() -> None:
    assert TASK.batch_augment(AugmentConfig(), 2) is None
    with pytest.raises(UsageError, match="--mixup and --erasing would change images and not their masks"):
        TASK.batch_augment(AugmentConfig(mixup=0.2, erasing=0.1), 2)
