"""The convolutional layers of MobileViT, and the paper's initialization."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["silu", "relu", "none"]


class ConvNormAct(nn.Module):
    """Convolution without bias, BatchNorm, activation. (B, C, H, W) -> (B, C', H/s, W/s)."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: Activation = "silu",
    ) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation, groups, bias=False)
        self.norm: nn.Module = BatchNorm(channels_out)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))  # type: ignore[no-any-return]


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm that also trains on one value a channel, which has no deviation: it takes the running statistics.

    One image in the last batch of an epoch is enough for that, wherever a map is pooled or has shrunk to a pixel.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class SiLU(nn.Module):
    """x * sigmoid(x), of any shape. Where no gradient is kept it overwrites its input.

    In training that would cost a copy of the input (5 % of a step on a CPU); without, fresh memory for every map.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x, inplace=not torch.is_grad_enabled())


class ReLU(nn.Module):
    """max(x, 0), of any shape: the heads' activation. Where no gradient is kept it overwrites its input."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=not torch.is_grad_enabled())


ACTIVATIONS = {"silu": SiLU, "relu": ReLU, "none": nn.Identity}


class InvertedResidual(nn.Module):
    """MobileNetv2 block: 1x1 expansion, 3x3 depth-wise, 1x1 linear reduction; added to the input where shapes agree."""

    def __init__(
        self, channels_in: int, channels_out: int, expansion: int, *, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        hidden = make_divisible(channels_in * expansion, 8)
        self.expand = ConvNormAct(channels_in, hidden, 1)
        self.depthwise = ConvNormAct(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden)
        self.reduce = ConvNormAct(hidden, channels_out, 1, activation="none")
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = self.reduce(self.depthwise(self.expand(x)))
        return x + y if self.residual else y  # type: ignore[no-any-return]


def make_divisible(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, never below it by more than a tenth."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def initialize(module: nn.Module) -> None:
    """The paper's initialization of one module; use with `nn.Module.apply`.

    Convolutions: Kaiming normal by fan-out. For a depth-wise convolution torch does not divide the fan by the
    groups, so its deviation is sqrt(2 / 9C): other packages differ here. Linear layers: normal, deviation 0.02.
    """
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
