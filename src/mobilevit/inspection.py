"""What a network is made of: stages, shapes, parameters and multiply-adds, counted and not estimated."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mobilevit.errors import UsageError
from mobilevit.models.table import ALIASES, MODELS, build
from mobilevit.models.vit import DEIT_TINY, ViT
from mobilevit.weights.creating import load

DEIT_PX = 224  # where the paper compares with DeiT-Tiny (Table 3)
SIZES_PX = (32, 4096)  # that make sense: the network halves five times


@dataclass(frozen=True)
class Macs:
    """Multiply-adds, by what they are spent on. Norms, activations, softmax and resizing are not counted."""

    convolution: int = 0
    linear: int = 0
    attention: int = 0  # the two products of tokens with tokens

    @property
    def total(self) -> int:
        return self.convolution + self.linear + self.attention


@dataclass(frozen=True)
class Stage:
    """One part of the network, in the order of the forward pass."""

    name: str
    shape: tuple[int, ...]  # of its output, without the batch
    parameters: int
    macs: Macs


@dataclass(frozen=True)
class Summary:
    """A network at one picture size."""

    name: str
    size_px: int
    stages: tuple[Stage, ...]

    @property
    def parameters(self) -> int:
        return sum(stage.parameters for stage in self.stages)

    @property
    def macs(self) -> Macs:
        parts = [stage.macs for stage in self.stages]
        return Macs(sum(m.convolution for m in parts), sum(m.linear for m in parts), sum(m.attention for m in parts))

    def rows(self) -> list[dict[str, object]]:
        """A table for people: one row a stage, and the total."""
        rows = [
            _row(stage.name, " x ".join(map(str, stage.shape)), stage.parameters, stage.macs) for stage in self.stages
        ]
        return [*rows, _row("total", "", self.parameters, self.macs)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "parameters": self.parameters, "macs": {**asdict(self.macs), "total": self.macs.total}}


def info(model: str | Path | nn.Module, size_px: int = 256) -> Summary:
    """The parts of a network for square pictures of `size_px`: a name of the table, a model file, or a network.

    Nothing is downloaded, and nothing computed: the forward pass runs on shapes alone. UsageError for an unknown name
    or a size outside 32 to 4096, WeightsError for a file that is no model.
    """
    if not SIZES_PX[0] <= size_px <= SIZES_PX[1]:
        raise UsageError(f"the size is {size_px}: it must lie between {SIZES_PX[0]} and {SIZES_PX[1]} px")
    if isinstance(model, nn.Module):
        return summarise(type(model).__name__, model, size_px)
    if str(model) in {**MODELS, **ALIASES} or not _is_path(model):
        with torch.device("meta"):
            return summarise(str(model), build(str(model), 1000), size_px)
    return summarise(str(model), load(model), size_px)


def deit_tiny() -> Summary:
    """The standard ViT that the paper compares with, at its 224 px."""
    with torch.device("meta"):
        return summarise("DeiT-Tiny", ViT(DEIT_TINY, size_px=DEIT_PX), DEIT_PX)


def summarise(name: str, network: nn.Module, size_px: int) -> Summary:
    """Count a network by one forward pass on shapes; the network stays as it is."""
    shapes: dict[str, tuple[int, ...]] = {}
    network = copy.deepcopy(network).to("meta").eval()
    parts = dict(_parts(network))
    for path, part in parts.items():
        part.register_forward_hook(lambda _m, _i, output, path=path: shapes.update({path: tuple(output.shape[1:])}))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, size_px, size_px, device="meta"))
    counts = counter.get_flop_counts()
    root = type(network).__name__
    stages = [
        Stage(
            path.removeprefix("backbone."),
            shapes[path],
            sum(parameter.numel() for parameter in part.parameters()),
            _macs(counts.get(f"{root}.{path}", {})),
        )
        for path, part in parts.items()
    ]
    return Summary(name, size_px, (*stages, *_rest(network, parts)))


def _is_path(model: str | Path) -> bool:
    return isinstance(model, Path) or "." in model or "/" in model


def _parts(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The stages of the backbone, then whatever stands behind it; parts without parameters are left out."""
    for name, child in network.named_children():
        if name == "backbone" or isinstance(child, nn.ModuleList):
            yield from _parts(child, f"{prefix}{name}.")
        elif any(True for _ in child.parameters()):
            yield f"{prefix}{name}", child


def _rest(network: nn.Module, parts: Mapping[str, nn.Module]) -> list[Stage]:
    """Parameters that belong to no part, such as the position embeddings of a ViT."""
    rest = {
        name: p for name, p in network.named_parameters() if not name.startswith(tuple(f"{path}." for path in parts))
    }
    return [Stage(name, tuple(p.shape[1:]), p.numel(), Macs()) for name, p in rest.items()]


def _macs(flops: Mapping[Any, int]) -> Macs:
    """A multiply-add is two floating point operations."""
    counts = {str(operation): count // 2 for operation, count in flops.items()}
    unknown = counts.keys() - KINDS.keys()
    assert not unknown, f"operations that are not counted yet: {unknown}"
    return Macs(**{kind: sum(counts.get(name, 0) for name in KINDS if KINDS[name] == kind) for kind in KIND_NAMES})


KINDS = {  # of the operations that torch counts
    "aten.convolution": "convolution",
    "aten.mm": "linear",
    "aten.addmm": "linear",
    "aten.bmm": "attention",
    "aten.baddbmm": "attention",
}
KIND_NAMES = ("convolution", "linear", "attention")


def _row(name: str, shape: str, parameters: int, macs: Macs) -> dict[str, object]:
    spent = {f"{kind} M": _millions(getattr(macs, kind)) for kind in KIND_NAMES}
    return {"stage": name, "output": shape, "parameters": parameters, **spent, "MACs M": _millions(macs.total)}


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"
