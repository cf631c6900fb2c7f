"""From whatever stands for a model to the Runner of it. PyTorch is imported with the first model that runs in it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mobilevit import tasks
from mobilevit.errors import UsageError, WeightsError, unknown
from mobilevit.formats import Runner
from mobilevit.formats.running import ExportedRunner
from mobilevit.formats.table import is_exported, open_exported
from mobilevit.formats.torch import TorchRunner, is_torch_model, without_lost_threads
from mobilevit.runtimes import TORCH, chosen
from mobilevit.spec import at_size
from mobilevit.weights.spec_checks import check_spec

if TYPE_CHECKING:
    import torch
    from torch import nn


def runner_for(
    model: "str | Path | nn.Module | Runner",
    *,
    device: str = "auto",
    image_size: int | None = None,
    runtime: str = TORCH,
) -> Runner:
    """A runner of a model file, a name of the catalog or a model (fused, on `device`), or of an exported file in
    its own runtime; a Runner as it is. `runtime` may choose an exported file beside the model's.

    `image_size` takes images of another size than the model was trained for, an exported file one that it was exported
    for; the resize before the crop keeps its ratio.
    """
    without_lost_threads()
    if isinstance(model, str | Path):
        model = chosen(model, runtime) or model
        return _exported(Path(model), image_size) if is_exported(model) else _in_torch(model, device, image_size)
    if is_torch_model(model):
        return _in_torch(model, device, image_size)
    if image_size is not None:
        raise UsageError("the size of a runner is decided where it is made: give the size there")
    return cast(Runner, model)


def _exported(path: Path, image_size: int | None) -> Runner:
    """An exported file in its runtime; WeightsError where its manifest is none of a model of its task."""
    runner = open_exported(path, image_size=image_size)
    try:
        check_spec(runner.spec)
        expected = tasks.get(runner.spec.task).interface.outputs
        found = [port.name for port in runner.manifest.outputs] if isinstance(runner, ExportedRunner) else [*expected]
        if {*found} != {*expected}:
            raise WeightsError(f"its outputs are {', '.join(found)}, expected {', '.join(expected)}")
    except WeightsError as error:
        raise WeightsError(f"the manifest of {path} cannot be: {error}. Export the model again.") from error
    return runner


def _in_torch(model: "str | Path | nn.Module", device: str, image_size: int | None) -> TorchRunner:
    from mobilevit.models.fuse import fuse
    from mobilevit.tasks.program import Program
    from mobilevit.weights.creating import load, spec_of

    loaded = load(model) if isinstance(model, str | Path) else model
    spec = spec_of(loaded)
    if not spec.classes:
        raise UsageError(f"this {spec.architecture} has no classes, it gives features: call it on tensors instead")
    spec = spec if image_size is None else at_size(spec, image_size)
    return TorchRunner(Program(fuse(loaded), spec, tasks.get(spec.task)), spec, device_for(device))


def device_for(name: str) -> "torch.device":
    """The device of that name; "auto" is the first of cuda, mps and cpu that is there. UsageError where it is not."""
    import torch

    available: dict[str, Callable[[], bool]] = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if name not in available and name != "auto":
        raise unknown("device", name, ["auto", *available])
    present = [device for device, is_there in available.items() if is_there()]
    if name != "auto" and name not in present:
        hint = "torch is built without it, or finds no such device"
        raise UsageError(f"there is no {name} device here ({hint}): use --device {' or '.join(present)}")
    return torch.device(present[0] if name == "auto" else name)
