"""What a model is made of: stages, shapes, parameters and multiply-adds, counted and not estimated."""

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mobilevit.errors import UsageError
from mobilevit.models.table import ALIASES, MODELS, resolve
from mobilevit.models.vit import DEIT_TINY, ViT
from mobilevit.spec import ModelSpec, Preprocessing
from mobilevit.weights.blank import blank
from mobilevit.weights.catalog import CATALOG
from mobilevit.weights.checkpoint import usual_classes
from mobilevit.weights.creating import load

DEIT_PX = 224  # where the paper compares with DeiT-Tiny (Table 3)
SIZES_PX = (32, 4096)  # that make sense: a backbone halves five times


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
    """One part of the model, in the order of the forward pass."""

    name: str
    blocks: str  # what it is made of: "InvertedResidual, MobileViTBlock"
    shape: tuple[int, ...]  # of its output, without the batch
    parameters: int
    macs: Macs


@dataclass(frozen=True)
class Summary:
    """A model at one image size."""

    name: str
    image_size: int
    stages: tuple[Stage, ...]
    spec: ModelSpec | None = None  # of a model that carries one: its classes, preprocessing and provenance

    @property
    def parameters(self) -> int:
        return sum(stage.parameters for stage in self.stages)

    @property
    def macs(self) -> Macs:
        parts = [stage.macs for stage in self.stages]
        return Macs(sum(m.convolution for m in parts), sum(m.linear for m in parts), sum(m.attention for m in parts))

    def rows(self) -> list[dict[str, object]]:
        """A table for people: one row a stage, and the total."""
        rows = [_row(s.name, s.blocks, " x ".join(map(str, s.shape)), s.parameters, s.macs) for s in self.stages]
        return [*rows, _row("total", "", "", self.parameters, self.macs)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "parameters": self.parameters, "macs": {**asdict(self.macs), "total": self.macs.total}}


def info(model: str | Path | nn.Module, image_size: int | None = None) -> Summary:
    """The parts of a model for square images of `image_size`: a name, a model file, or a model.

    Without `image_size` the images are those that the model is made for. Of the name of a model nothing is
    downloaded (the name of weights fetches them), and nothing is computed: the forward pass runs on shapes alone.
    UsageError for an unknown name or a size outside 32 to 4096, WeightsError for a file that is no model.
    """
    if image_size is not None and not SIZES_PX[0] <= image_size <= SIZES_PX[1]:
        raise UsageError(f"the size is {image_size}: it must lie between {SIZES_PX[0]} and {SIZES_PX[1]} px")
    name, loaded = _loaded(model)
    return summarize(name, loaded, image_size or _own_image_size(name, loaded))


def deit_tiny() -> Summary:
    """The standard ViT that the paper compares with, at its 224 px."""
    return summarize("DeiT-Tiny", ViT(DEIT_TINY, image_size=DEIT_PX), DEIT_PX)


def summarize(name: str, loaded: nn.Module, image_size: int) -> Summary:
    """Count a model by one forward pass on shapes; the model stays as it is."""
    loaded = copy.deepcopy(loaded).to("meta").eval()
    counter = _Counter()
    stages: list[Stage] = []
    for path, part in _parts(loaded):
        _watch(path, part, counter, stages)
    with torch.no_grad(), counter:
        loaded(torch.empty(1, 3, image_size, image_size, device="meta", dtype=next(loaded.parameters()).dtype))
    rest = _rest(loaded, {stage.name for stage in stages})
    return Summary(name, image_size, (*stages, *rest), getattr(loaded, "spec", None))


def _loaded(model: str | Path | nn.Module) -> tuple[str, nn.Module]:
    """What `model` means, and how to call it."""
    if isinstance(model, nn.Module):
        return type(model).__name__, model
    if model in (*MODELS, *ALIASES) or not (model in CATALOG or _is_path(model)):
        name = resolve(str(model))
        return name, blank(name, len(usual_classes(MODELS[name].task)))
    return str(model), load(model)


def _own_image_size(name: str, loaded: nn.Module) -> int:
    spec = getattr(loaded, "spec", None)
    if isinstance(spec, ModelSpec):
        return spec.preprocessing.image_size
    return MODELS[name].image_size if name in MODELS else Preprocessing().image_size


def _is_path(model: str | Path) -> bool:
    return isinstance(model, Path) or "." in model or "/" in model


def _parts(loaded: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The stages of the backbone, then whatever stands behind it; parts without parameters are left out."""
    for name, child in loaded.named_children():
        if name == "backbone" or isinstance(child, nn.ModuleList):
            yield from _parts(child, "" if name == "backbone" else f"{name}.")
        elif any(True for _ in child.parameters()):
            yield f"{prefix}{name}", child


def _watch(name: str, part: nn.Module, counter: "_Counter", stages: list[Stage]) -> None:
    """Append a Stage when the forward pass leaves `part`: what was counted since it entered."""
    before: list[Counter[str]] = []

    def enter(_module: nn.Module, _args: Any) -> None:
        before.append(counter.counts.copy())

    def leave(_module: nn.Module, _args: Any, output: Tensor) -> None:
        macs = Macs(**(counter.counts - before.pop()))
        stages.append(Stage(name, _blocks(part), tuple(output.shape[1:]), _parameters(part.parameters()), macs))

    part.register_forward_pre_hook(enter)
    part.register_forward_hook(leave)


def _blocks(part: nn.Module) -> str:
    """The classes that a part is made of, repetitions counted: "EncoderLayer x12, LayerNorm"."""
    blocks = Counter(type(block).__name__ for block in (part if isinstance(part, nn.Sequential) else [part]))
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in blocks.items())


def _rest(loaded: nn.Module, ran: set[str]) -> list[Stage]:
    """What the forward pass did not show: parts for training alone, and parameters that belong to no part, such as the
    position embeddings of a ViT."""
    parts = list(_parts(loaded))
    inside = {parameter for _, part in parts for parameter in part.parameters()}
    loose = [(name, parameter) for name, parameter in loaded.named_parameters() if parameter not in inside]
    return [
        *(
            Stage(name, f"{_blocks(part)}, in training only", (), _parameters(part.parameters()), Macs())
            for name, part in parts
            if name not in ran
        ),
        *(Stage(name, "Parameter", tuple(p.shape[1:]), p.numel(), Macs()) for name, p in loose),
    ]


def _parameters(parameters: Iterator[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


class _Counter(TorchDispatchMode):
    """Counts the multiply-adds of every operation that runs inside.

    torch's own FlopCounterMode finds the same numbers, but takes its compiler along: seconds for a table.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in OPERATIONS:
            kind, count = OPERATIONS[func]
            self.counts[kind] += count(args, output)
        return output


# operation -> (kind, multiply-adds from its arguments and its output)
OPERATIONS: dict[Any, tuple[str, Callable[[Any, Tensor], int]]] = {
    torch.ops.aten.convolution.default: ("convolution", lambda args, output: output.numel() * args[1][0].numel()),
    torch.ops.aten.mm.default: ("linear", lambda args, output: output.numel() * args[0].shape[1]),
    torch.ops.aten.addmm.default: ("linear", lambda args, output: output.numel() * args[1].shape[1]),
    torch.ops.aten.bmm.default: ("attention", lambda args, output: output.numel() * args[0].shape[2]),
}


def _row(name: str, blocks: str, shape: str, parameters: int, macs: Macs) -> dict[str, object]:
    spent = {f"{kind} M": _millions(count) for kind, count in asdict(macs).items()}
    return {
        "stage": name,
        "blocks": blocks,
        "output": shape,
        "parameters": parameters,
        **spent,
        "MACs M": _millions(macs.total),
    }


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f}"
