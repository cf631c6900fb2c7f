"""Stronger augmentation by kornia: off unless asked for, decided by the torch seed, labels that sum to one."""

import sys

import pytest
import torch
from torch import Tensor

from mobilevit.errors import MissingExtraError
from mobilevit.images.transforms import AugmentConfig
from mobilevit.loading.augment import BatchAugment

CLASSES = 5


def batch(count: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, 24, 24, generator=generator), torch.arange(count) % CLASSES


def test_off_changes_nothing_and_needs_no_kornia(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    images, labels = batch()
    assert not BatchAugment.active(AugmentConfig())
    changed, soft = BatchAugment(AugmentConfig(), CLASSES)(images, labels)
    assert torch.equal(changed, images)
    assert torch.equal(soft, torch.nn.functional.one_hot(labels, CLASSES).float())


def test_without_kornia_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    with pytest.raises(MissingExtraError, match=r"mobilevit\[augment\]"):
        BatchAugment(AugmentConfig(mixup=0.2), CLASSES)


ALL = AugmentConfig(randaugment=True, mixup=0.2, cutmix=1.0, erasing=0.5)
EACH = [
    AugmentConfig(randaugment=True),
    AugmentConfig(mixup=0.2),
    AugmentConfig(cutmix=1.0),
    AugmentConfig(erasing=1.0),
    ALL,
]


@pytest.mark.parametrize("config", EACH, ids=["randaugment", "mixup", "cutmix", "erasing", "all"])
@pytest.mark.parametrize("count", [1, 2, 8])
def test_each_kind(config: AugmentConfig, count: int) -> None:
    pytest.importorskip("kornia", reason="the extra `augment` is not installed")
    augment, (images, labels) = BatchAugment(config, CLASSES), batch(count)
    before = images.clone()
    changes = 0
    for seed in range(4):
        torch.manual_seed(seed)
        changed, soft = augment(images, labels)
        torch.manual_seed(seed)
        again = augment(images, labels)
        assert torch.equal(changed, again[0]) and torch.equal(soft, again[1])
        assert changed.shape == images.shape and changed.min() >= 0 and changed.max() <= 1
        assert changed.is_contiguous(memory_format=torch.channels_last)
        assert soft.shape == (count, CLASSES) and soft.min() >= 0
        assert torch.allclose(soft.sum(1), torch.ones(count))
        changes += not torch.equal(changed, images)
    assert torch.equal(images, before), "the batch itself stays as it was"
    assert changes > 0 or (count == 1 and not (config.randaugment or config.erasing))


@pytest.mark.parametrize("config", [AugmentConfig(mixup=1.0), AugmentConfig(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_labels_are_mixed_as_the_images_are(config: AugmentConfig) -> None:
    """Images that are their own label, in one color: the mean of the mixed image is the mixed label."""
    pytest.importorskip("kornia", reason="the extra `augment` is not installed")
    labels = torch.arange(3)
    images = torch.eye(3)[:, :, None, None].expand(3, 3, 20, 20).contiguous()
    augment = BatchAugment(config, 3)
    mixed = 0
    for seed in range(10):
        torch.manual_seed(seed)
        changed, soft = augment(images, labels)
        assert torch.allclose(changed.mean((2, 3)), soft, atol=1e-5)
        mixed += int((soft.max(1).values < 0.999).any())
    assert mixed > 5


def test_half_precision_and_other_devices_keep_their_type() -> None:
    pytest.importorskip("kornia", reason="the extra `augment` is not installed")
    images, labels = batch()
    changed, soft = BatchAugment(AugmentConfig(mixup=0.2), CLASSES)(images.bfloat16(), labels)
    assert changed.dtype == soft.dtype == torch.bfloat16
