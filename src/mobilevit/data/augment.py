"""Stronger augmentation, off by default: kornia's, on a whole batch, on the device that trains."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mobilevit.data.transforms import AugmentConfig
from mobilevit.errors import MissingExtraError


class BatchAugment:
    """RandAugment, mixup or cutmix, and erasing, as far as the config asks for them.

    Every random number comes from torch's global CPU generator, so `torch.manual_seed` before a call decides it.
    Where mixup and cutmix are both on, each batch gets one of them, by a fair coin. MissingExtraError without kornia.
    """

    def __init__(self, config: AugmentConfig, num_classes: int) -> None:
        self.config, self.num_classes = config, num_classes
        self.kornia: Any = _kornia() if self.active(config) else None
        self.change = self._changes()

    @staticmethod
    def active(config: AugmentConfig) -> bool:
        """Whether the config asks for anything that is done here."""
        return bool(config.randaugment or config.mixup or config.cutmix or config.erasing)

    @torch.no_grad()
    def __call__(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) RGB 0-1 and (B,) class indices to changed pictures and soft labels (B, K) that sum to 1."""
        pictures = self.change(pictures)
        soft = functional.one_hot(labels, self.num_classes).to(pictures.dtype)
        mix = self._mix() if len(pictures) > 1 else None
        if mix is not None:
            pictures, rows = mix(pictures, labels)
            first, second, share = rows.reshape(-1, 3).unbind(1)
            soft = self._one_hot(first) * (1 - share)[:, None] + self._one_hot(second) * share[:, None]
        return pictures.clamp(0, 1).contiguous(memory_format=torch.channels_last), soft.to(pictures.dtype)

    def _changes(self) -> nn.Sequential:
        """What happens to each picture by itself."""
        steps: list[nn.Module] = []
        if self.config.randaugment:
            steps.append(self.kornia.auto.RandAugment(n=OPERATIONS, m=MAGNITUDE))
        if self.config.erasing:
            steps.append(self.kornia.RandomErasing(scale=ERASED_AREA, ratio=ERASED_RATIO, p=self.config.erasing))
        return nn.Sequential(*steps)

    def _mix(self) -> Any:
        """This batch's way of mixing its pictures, or None."""
        use_mixup = self.config.mixup > 0
        if use_mixup and self.config.cutmix > 0:
            use_mixup = bool(torch.rand(()) < 0.5)
        if use_mixup:
            share = torch.distributions.Beta(self.config.mixup, self.config.mixup).sample().item()
            return self.kornia.RandomMixUpV2(lambda_val=(share, share), data_keys=["input", "class"])
        if self.config.cutmix > 0:
            beta = self.config.cutmix
            return self.kornia.RandomCutMixV2(beta=beta, use_correct_lambda=True, data_keys=["input", "class"])
        return None

    def _one_hot(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels.long(), self.num_classes).to(labels.dtype)


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
