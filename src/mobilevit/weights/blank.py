"""A model without values (meta tensors): its keys and shapes, or a frame for loaded tensors."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mobilevit.models.anchor_sizes import AnchorSizes
from mobilevit.models.table import build
from mobilevit.models.variants import PatchSizes


def blank(
    architecture: str,
    num_classes: int,
    *,
    patch_sizes: PatchSizes = (2, 2, 2),
    fuse_input: bool = True,
    anchors: AnchorSizes = (),
) -> nn.Module:
    """The model on the meta device; give it values with `load_state_dict(..., assign=True)`."""
    with torch.device("meta"), _NoFilling():
        return build(architecture, num_classes, patch_sizes=patch_sizes, fuse_input=fuse_input, anchors=anchors)


class _NoFilling(TorchFunctionMode):
    """Leaves out the random filling: on the meta device `normal_` imports torch's compiler, which takes seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in _FILLING else func(*args, **(kwargs or {}))


_FILLING = (Tensor.normal_, Tensor.uniform_)
