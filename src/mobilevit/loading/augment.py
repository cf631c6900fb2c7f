"""Stronger augmentation, off by default: kornia's, on a whole batch, on the device that trains."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mobilevit.errors import MissingExtraError
from mobilevit.images.transforms import AugmentConfig


class BatchAugment:
    """RandAugment, mixup or CutMix, and random erasing, as configured.

    Random numbers come from torch's global CPU generator: `torch.manual_seed` before a call determines them. If mixup
    and CutMix are both on, each batch gets one of them, by a fair coin. MissingExtraError without kornia.
    """

    def __init__(self, config: AugmentConfig, num_classes: int) -> None:
        self.config, self.num_classes = config, num_classes
        self.kornia: Any = _kornia() if self.active(config) else None
        self.change = self._changes()

    @staticmethod
    def active(config: AugmentConfig) -> bool:
        """Whether the config turns on any of these."""
        return bool(config.randaugment or config.mixup or config.cutmix or config.erasing)

    @torch.no_grad()
    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB 0-1 and (B,) class indices to changed images and soft labels (B, K) that sum to 1."""
        changed, soft = self.change(images), self._one_hot(labels)
        if len(labels) > 1:
            changed, partners, share = self._mixed(changed, labels)
            soft = torch.lerp(soft, self._one_hot(partners), share[:, None])
        changed = changed.clamp(0, 1).contiguous(memory_format=torch.channels_last)
        return changed, soft.to(images.dtype)

    def _changes(self) -> nn.Sequential:
        """What happens to each image by itself."""
        steps: list[nn.Module] = []
        if self.config.randaugment:
            steps.append(self.kornia.auto.RandAugment(n=OPERATIONS, m=MAGNITUDE))
        if self.config.erasing:
            steps.append(self.kornia.RandomErasing(scale=ERASED_AREA, ratio=ERASED_RATIO, p=self.config.erasing))
        return nn.Sequential(*steps)

    def _mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed images, and of each the label of its partner and the partner's share, (B,) both."""
        mixup, cutmix = self.config.mixup, self.config.cutmix
        if mixup and cutmix:
            mixup, cutmix = (mixup, 0.0) if torch.rand(()) < 0.5 else (0.0, cutmix)
        keys = ["input", "class"]
        if mixup:
            share = torch.distributions.Beta(mixup, mixup).sample().item()
            mixed, rows = self.kornia.RandomMixUpV2(lambda_val=(share, share), data_keys=keys)(images, labels)
            return mixed, rows[:, 1], rows[:, 2]
        if cutmix:
            mixed, rows = self.kornia.RandomCutMixV2(beta=cutmix, use_correct_lambda=True, data_keys=keys)(
                images, labels
            )
            return mixed, rows[0, :, 1], 1 - rows[0, :, 2]  # what kornia gives here is the share that stays
        return images, labels, torch.zeros(len(labels), device=labels.device)

    def _one_hot(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels.long(), self.num_classes).float()


OPERATIONS, MAGNITUDE = 2, 9  # of RandAugment: how many, and how strong from 0 to 30 (its paper's ImageNet setting)
ERASED_AREA, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # random erasing's own paper


def _kornia() -> Any:
    try:
        import kornia.augmentation
    except ImportError as error:
        raise MissingExtraError(
            'RandAugment, mixup, cutmix and erasing need kornia: pip install "mobilevit[augment]"'
        ) from error
    return kornia.augmentation
