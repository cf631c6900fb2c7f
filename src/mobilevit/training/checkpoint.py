"""The state of a run in one safetensors file: written whole or not at all, and read without running any code."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from mobilevit.errors import TrainingError, WeightsError
from mobilevit.files import make_folder, write_atomically
from mobilevit.spec import ModelSpec
from mobilevit.text import words_of
from mobilevit.training.ema import Ema
from mobilevit.weights.containers import read_safetensors, safetensors_bytes


@dataclass
class TrainingProgress:
    """The state of a run other than tensors. The next step is (epoch, step)."""

    samples: int  # in the training split: a resumed run must find as many
    names: str  # of these, hashed: it must find the same
    command: str  # that began the run
    truncated: int = 0  # images of these whose files were cut short
    epoch: int = 0
    step: int = 0
    updates: int = 0  # steps of the optimizer taken
    images: int = 0  # trained on in this epoch so far
    loss_total: float = 0.0  # of this epoch so far, summed
    loss_count: float = 0.0
    best_score: float | None = None  # None: no epoch has been measured
    best_epoch: int = -1
    worse_epochs: int = 0  # measured since the best one
    seconds: float = 0.0  # of training, over all attempts
    grad_scaler: dict[str, float] = field(default_factory=dict)  # of fp16 training; empty without it
    history: list[dict[str, float | None]] = field(default_factory=list)  # the rows of metrics.csv


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint: progress, spec, and all tensors by name."""

    progress: TrainingProgress
    spec: ModelSpec
    tensors: dict[str, Tensor]

    def restore(self, model: nn.Module, ema: Ema | None, optimizer: torch.optim.Optimizer) -> None:
        """Restore the tensors; TrainingError if they belong to another run."""
        try:
            model.load_state_dict(_below(self.tensors, "model."))
            if ema is not None:
                ema.model.load_state_dict(_below(self.tensors, "ema."))
            _load_optimizer(optimizer, _below(self.tensors, "optimizer."))
        except (RuntimeError, IndexError, ValueError) as error:
            raise TrainingError(f"the checkpoint does not fit the run's config.json: {words_of(error)}") from error


def write_checkpoint(
    path: Path,
    progress: TrainingProgress,
    spec: ModelSpec,
    model: nn.Module,
    ema: Ema | None,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state of a run; an older checkpoint stays until the new one is complete on disk."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if ema is not None:
        tensors |= {f"ema.{name}": tensor for name, tensor in ema.model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    make_folder(path.parent)
    texts = {"progress": json.dumps(asdict(progress)), "spec": spec.to_json()}
    write_atomically(path, safetensors_bytes(texts, tensors))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; TrainingError if the file is damaged or of another version."""
    try:
        texts, tensors = read_safetensors(path)
        progress = TrainingProgress(**json.loads(texts["progress"]))
        return Checkpoint(progress, ModelSpec.from_json(texts["spec"]), tensors)
    except (OSError, WeightsError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read: {words_of(error)}. The models beside it may still be intact: "
            "start a new run with the path of last.safetensors as `weights`."
        ) from error


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the moments back in the memory layout of their parameters, and all state beside them: the fused AdamW takes
    no mixed layouts, and counts its steps on the device."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, tensor in tensors.items():
        index, key = name.split(".")
        parameter = parameters[int(index)]
        is_moment = tensor.shape == parameter.shape and tensor.dim()
        target = torch.empty_like(parameter) if is_moment else tensor.to(parameter.device, copy=True)
        optimizer.state[parameter][key] = target.copy_(tensor)
