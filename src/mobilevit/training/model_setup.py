"""The model of a run: initialized from weights, partly frozen, wrapped for several processes."""

import inspect
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mobilevit.datasets.sample import Dataset
from mobilevit.spec import ModelSpec
from mobilevit.tasks.base import Task
from mobilevit.training.config import Precision, TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.weights.creating import create, spec_of


def start_model(config: TrainConfig, task: Task, dataset: Dataset) -> nn.Module:
    """The model with its initial weights, and a spec with its size and classes."""
    torch.manual_seed(config.seed)
    anchors = task.anchors(dataset) if config.anchors == "data" else ()
    model = create(config.model, classes=dataset.classes, weights=config.weights, anchors=anchors)
    spec = spec_of(model)
    image_size = config.scale.image_size or spec.preprocessing.image_size
    preprocessing = replace(
        spec.preprocessing, image_size=image_size, resize_px=round(image_size * config.resize_ratio)
    )
    return _equipped(model, replace(spec, preprocessing=preprocessing, score_threshold=None), config)


def rebuild_model(config: TrainConfig, spec: ModelSpec) -> nn.Module:
    """The model of a run to resume, before its weights are restored."""
    model = create(
        spec.architecture,
        classes=spec.classes,
        patch_sizes=spec.patch_sizes,
        fuse_input=spec.fuse_input,
        anchors=spec.anchors,
    )
    return _equipped(model, spec, config)


def _equipped(model: nn.Module, spec: ModelSpec, config: TrainConfig) -> nn.Module:
    model.spec = spec  # type: ignore[assignment]
    if config.dropout is not None:
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):
                module.p = config.dropout
    return model


def freeze(model: Any, config: TrainConfig) -> None:
    """Exclude the frozen stages from training."""
    for part in _frozen_parts(model, config):
        part.requires_grad_(False)


def training_mode(model: nn.Module, config: TrainConfig) -> None:
    """Training mode, except for frozen parts, which stay in evaluation mode."""
    model.train()
    for part in _frozen_parts(model, config):
        part.eval()
    if config.freeze_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _frozen_parts(model: Any, config: TrainConfig) -> list[nn.Module]:
    if not config.freeze_stages:
        return []
    return [model.backbone.stem, *model.backbone.stages[: config.freeze_stages]]


def wrapped(model: nn.Module, config: TrainConfig, group: Group, device: torch.device) -> nn.Module:
    """What the step calls: the model itself, compiled, or exchanging gradients between processes."""
    if group.world_size > 1:
        devices = [device] if device.type == "cuda" else None
        model = DistributedDataParallel(model, device_ids=devices, **{SYNC_BUFFERS: False})  # type: ignore[arg-type]
    return torch.compile(model, dynamic=False) if config.compile else model  # type: ignore[return-value]


# BatchNorm's statistics are not sent at every step: training does not read them, and the leading process's are kept.
# From 2.13 on torch has another name for the option, and warns of the old one.
_NAMES = inspect.signature(DistributedDataParallel).parameters
SYNC_BUFFERS = next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in _NAMES)


def amp_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype of the forward pass; None for plain float32. On a CPU "auto" is float32: lower does not pay there."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
