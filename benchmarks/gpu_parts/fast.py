"""What takes how long: training steps, inference, the loader, and at last what `torch.compile` gains.

Times are medians. Models that are compared take turns, so that whatever else the machine does falls on all of them.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import nn

from gpu_parts import made
from gpu_parts.session import Check, Figures, Session, synchronize
from gpu_parts.sizes import Sizes
from gpu_parts.stepping import PLAIN, step_of
from mobilevit import MultiScaleConfig, TrainConfig, fuse
from mobilevit.loading.batch import Batch
from mobilevit.loading.batch import prepare as prepared
from mobilevit.loading.multiscale import resolutions
from mobilevit.models.table import build
from mobilevit.training.callbacks import Quiet
from mobilevit.training.config import OptimizerConfig
from mobilevit.training.distributed import Group
from mobilevit.training.ema import Ema
from mobilevit.training.loop import Parts
from mobilevit.training.model_setup import training_mode, wrapped
from mobilevit.training.optimizer import adamw
from mobilevit.training.run import prepare
from mobilevit.training.step import TrainStep

CLASSES = 1000
GOAL_OVER_TIMM, GOAL_WAIT = 1.4, 0.1  # a step's speed over that of timm's model; share of the time without data
Action = Callable[[], object]
Cache = Literal["none", "memory"]


def steps(model: str, session: Session, figures: Figures) -> None:
    """Images per second of the project's training step, on our model and on timm's."""
    models = {"ours": _ours(model), **_timm(model)}
    _compare_steps(models, models, session, figures)


def _compare_steps(
    models: Mapping[str, nn.Module], forwards: Mapping[str, nn.Module], session: Session, figures: Figures
) -> None:
    """The same step on models that take turns; `forwards` are they themselves, or compiled."""
    batch = _batch(session, session.sizes.step_px, session.sizes.step_batch)
    steppers = {name: _stepper(model, forwards[name], session.device) for name, model in models.items()}
    if session.device.type == "cuda":
        for name, step in steppers.items():
            figures[f"{name}, peak memory (GB)"] = _peak_memory_gb(partial(step, [batch], lr=1e-4, seed=0))
    times_ms = in_turns({name: partial(step, [batch], lr=1e-4, seed=0) for name, step in steppers.items()}, session)
    for name, values in times_ms.items():
        figures[f"{name}, images/s"] = 1e3 * session.sizes.step_batch / statistics.median(values)
    if "timm" in times_ms:
        figures["ours over timm"] = _ratio(times_ms["timm"], times_ms["ours"])
        figures["goal"] = f"{GOAL_OVER_TIMM} times timm"


def _ours(model: str) -> nn.Module:
    torch.manual_seed(0)
    return build(model, CLASSES)


def _timm(model: str) -> dict[str, nn.Module]:
    """The peer of that name, where timm is there."""
    try:
        import timm
    except (ImportError, RuntimeError):  # the latter from a torchvision of another build of torch
        return {}
    return {"timm": timm.create_model(model, num_classes=CLASSES)}


def _batch(session: Session, image_size: int, count: int) -> Batch:
    """Noise, in page-locked memory as the loader gives it."""
    batch = made.batch_for("classification", count, image_size)
    return batch.pin_memory() if session.device.type == "cuda" else batch


def _stepper(model: nn.Module, forward: nn.Module, device: torch.device) -> TrainStep:
    """The project's step as a run has it: AdamW, clipping, bf16 on a GPU. Moves the model."""
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    config = OptimizerConfig()
    model.train()
    return step_of(model, forward, "classification", adamw(model, config), _dtype(device), config)


def _dtype(device: torch.device) -> torch.dtype | None:
    return torch.bfloat16 if device.type == "cuda" else None


def _peak_memory_gb(action: Action) -> float:
    """Of one call, beyond what was taken before it."""
    action()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    action()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def in_turns(actions: Mapping[str, Action], session: Session) -> dict[str, list[float]]:
    """Milliseconds of each action: in every round the median of its passes."""
    times_ms: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        for _ in range(min(3, session.sizes.passes)):  # the first ones do not count
            action()
    for _ in range(session.sizes.rounds):
        for name, action in actions.items():
            times_ms[name].append(
                statistics.median(_milliseconds(action, session) for _ in range(session.sizes.passes))
            )
    return times_ms


def _milliseconds(action: Action, session: Session) -> float:
    synchronize(session.device)
    started = time.perf_counter()
    action()
    synchronize(session.device)
    return 1e3 * (time.perf_counter() - started)


def _ratio(base: list[float], other: list[float]) -> float:
    """How many times as long `base` takes: the median of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(base, other, strict=True))


def shares(name: str, session: Session, figures: Figures) -> None:
    """What a step with its average takes, and of it the optimizer, the average and the copy to the device."""
    model, batch = _ours(name), _batch(session, session.sizes.step_px, session.sizes.step_batch)
    step = _stepper(model, model, session.device)
    ema = Ema(model, 0.999, warmup=False)
    idle = adamw(model, OptimizerConfig())  # one of its own, so that gradients of zero change nothing that is timed

    def whole() -> None:
        step([batch], lr=1e-4, seed=0)
        ema.update(1)

    def optimizer() -> None:
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        idle.step()

    actions: dict[str, Action] = {
        "optimizer": optimizer,
        "average": partial(ema.update, 1),
        "copy": partial(batch.images.to, session.device, copy=True),
    }
    step_ms = statistics.median(in_turns({"step": whole}, session)["step"])
    figures["step (ms)"] = step_ms
    for name, values in in_turns(actions, session).items():
        figures[f"{name}, share"] = statistics.median(values) / step_ms


def inference(model: str, session: Session, figures: Figures) -> None:
    """The fused model, in float32 as torch has it and under bf16, and timm's, by batch size."""
    device, image_size = session.device, session.sizes.step_px
    models = {"ours": fuse(_ours(model)), **_timm(model)}
    for each in models.values():
        each.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for count in session.sizes.inference_batches:
        images = prepared(made.batch_for("classification", count, image_size).images.to(device), "rgb")
        actions = {
            f"{name} {precision}": partial(_infer, each, images, dtype)
            for name, each in models.items()
            for precision, dtype in (("float32", None), ("bf16", torch.bfloat16))
        }
        for name, values in in_turns(actions, session).items():
            figures[f"{name}, batch {count} (ms)"] = statistics.median(values)


@torch.inference_mode()
def _infer(model: nn.Module, images: torch.Tensor, dtype: torch.dtype | None) -> None:
    with torch.autocast(images.device.type, dtype, enabled=dtype is not None):
        model(images)


def loader(image_size: int, cache: Cache, session: Session, figures: Figures) -> None:
    """The loader at one size: what it gives to one who does nothing with it, and how long a training step waits."""
    started = time.perf_counter()
    parts = _parts(session, image_size, cache)
    figures["num_workers"] = parts.num_workers
    figures["seconds to begin"] = time.perf_counter() - started  # what a cache decodes included
    batches = _endless(parts)
    for _ in range(session.sizes.loader_batches // 2):  # the first ones wait for the workers to start
        next(batches)
    alone = _take(batches, session)
    figures["alone, images/s"] = alone.images / alone.seconds
    training_mode(parts.model, parts.config)
    _take(batches, session, partial(_train, parts))  # warms up
    trained = _take(batches, session, partial(_train, parts))
    figures["with the step, images/s"] = trained.images / trained.seconds
    figures["waits for data, share"] = trained.waited_s / trained.seconds
    figures["goal"] = f"waits for less than {GOAL_WAIT:g}"


def _parts(session: Session, image_size: int, cache: Cache) -> Parts:
    """What `mobilevit train` makes of the whole dataset, at one size."""
    scale = MultiScaleConfig(sampler="single", image_size=image_size, batch_size=session.sizes.step_batch)
    config = TrainConfig(
        data=session.data,
        model="mobilevit_xxs",
        weights="none",
        device=session.device.type,  # type: ignore[arg-type]
        cache=cache,
        scale=scale,
    )
    return prepare(config, Quiet(), Group())


def _endless(parts: Parts) -> Iterator[Batch]:
    """Epoch after epoch."""
    epoch = 0
    while True:
        parts.sampler.set_epoch(epoch)
        yield from parts.loader
        epoch += 1


@dataclass(frozen=True)
class Taken:
    """What it took to take some batches."""

    images: int
    seconds: float
    waited_s: float  # of these, for the batches


def _take(batches: Iterator[Batch], session: Session, use: Callable[[Batch, int], object] = lambda *_: None) -> Taken:
    images, waited_s, started = 0, 0.0, time.perf_counter()
    for number in range(session.sizes.loader_batches):
        asked = time.perf_counter()
        batch = next(batches)
        waited_s += time.perf_counter() - asked
        images += len(batch.indices)
        use(batch, number)
    synchronize(session.device)
    return Taken(images, time.perf_counter() - started, waited_s)


def _train(parts: Parts, batch: Batch, number: int) -> None:
    parts.step([batch], lr=1e-4, seed=number)
    if parts.ema is not None:
        parts.ema.update(number + 1)


def compiled_sizes(session: Session, figures: Figures) -> None:
    """Each size of the multi-scale sampler is compiled once, and no step compiles again."""
    model = _ours("mobilevit_xxs")
    step = _stepper(model, _compiled(model, session.device), session.device)
    config = MultiScaleConfig(image_size=max(session.sizes.scales_px), batch_size=session.sizes.step_batch)
    scales = [replace(config, sampler="single", image_size=image_size) for image_size in session.sizes.scales_px]
    batches = [_batch(session, *resolutions(scale)[0]) for scale in scales]
    started = time.perf_counter()
    for batch in batches:
        step([batch], lr=1e-4, seed=0)
    figures["seconds to compile"] = time.perf_counter() - started
    graphs = _graphs()
    for _ in range(3):
        for batch in batches:
            step([batch], lr=1e-4, seed=0)
    figures["graphs"] = graphs
    figures.at_most("graphs compiled again", _graphs() - graphs, 0)


def _graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _compiled(model: nn.Module, device: torch.device) -> Any:
    """As a run compiles it; on a CPU captured alone, since compiling for it takes longer than all else here."""
    if device.type == "cuda":
        return wrapped(model, replace(PLAIN, compile=True), Group(), device)
    return torch.compile(model, dynamic=False, backend="eager")


def compiled_steps(model: str, session: Session, figures: Figures) -> None:
    """Images per second of the training step with both models compiled, and ours as it is."""
    models = {"ours": _ours(model), **_timm(model)}
    forwards = {name: _compiled(each, session.device) for name, each in models.items()}
    eager = _ours(model)
    _compare_steps({**models, "ours, eager": eager}, {**forwards, "ours, eager": eager}, session, figures)


def checks(sizes: Sizes) -> tuple[Check, ...]:
    return (
        *(Check(f"training step, {model}", partial(steps, model)) for model in sizes.models),
        *(
            Check(f"loader, {image_size} px, cache {cache}", partial(loader, image_size, cache))
            for image_size in sizes.loader_px
            for cache in get_args(Cache)
        ),
        *(Check(f"shares of a step, {model}", partial(shares, model)) for model in sizes.models),
        *(Check(f"inference, {model}", partial(inference, model)) for model in sizes.models),
        *(_compiling(sizes) if sizes.scales_px else ()),
    )


def _compiling(sizes: Sizes) -> tuple[Check, ...]:
    """At the end, since nobody knows how long it takes."""
    return (
        Check("compiled once for each size", compiled_sizes, seconds=60),
        *(Check(f"compiled step, {model}", partial(compiled_steps, model), seconds=60) for model in sizes.models),
    )
