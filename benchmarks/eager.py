"""Is the fused model fast? Times it in eager mode against the model as written and against timm's.

    python benchmarks/eager.py
    python benchmarks/eager.py --train --model mobilevit_xxs --image-size 128 --batch-size 32

All have the same weights, carried over by the layout tables, and the outputs are compared first. Each model lives in
a process of its own, as it does in use: in one process the memory that one model keeps spares the other its page
faults. The processes take turns, a few passes each; whatever else the machine does meanwhile falls on all. A time is
the median over the rounds, a ratio the median of the ratios within a round. timm is optional: without it (or where
it cannot be imported: it needs torchvision) the benchmark says so and times the rest.

What was measured, and what was tried without success: docs/benchmarks.md.
"""

import importlib.util
import platform
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import record
import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional
from turns import Player, Prepared, ratio

from mobilevit.models.fuse import fuse
from mobilevit.models.table import build
from mobilevit.weights.recognition import Recognized
from mobilevit.weights.translation import from_ours

CLASSES = 1000
GOAL = "timm takes 1.6 times as long as the fused model"


@dataclass(frozen=True)
class Options:
    """What to time."""

    model: str = "mobilevit_s"  # one of the classifiers
    image_size: int = 256  # side of the images
    batch_size: int = 1  # images in a pass
    threads: tuple[int, ...] = (1, 2)  # numbers of threads to try
    rounds: int = 30  # turns of each model
    passes: int = 3  # timed passes in a turn; its time is their median
    train: bool = False  # time forward and backward instead
    results: bool = False  # write benchmarks/results/eager.json too


def main(options: Options) -> None:
    models = [name for name in MODELS if not (options.train and name == FUSED)]
    if not timm_is_there():
        print("timm cannot be imported here: only our models are timed")
        models = [name for name in models if not name.startswith("timm")]
    what = "training step" if options.train else "inference"
    print(f"{options.model}, {what}, {options.image_size} px, batch {options.batch_size}, {options.rounds} rounds,")
    print(f"torch {torch.__version__}, {platform.machine()}\n")
    rows = [row for threads in options.threads for row in _print_rows(threads, models, options)]
    if options.results:
        record.write("eager", {"models": rows}, packages=("torch", "timm"), goal=GOAL)


def _print_rows(threads: int, models: list[str], options: Options) -> list[record.Row]:
    with ExitStack() as stack:
        players = {
            name: stack.enter_context(Player(partial(prepare, name, options), threads, options.passes))
            for name in models
        }
        outputs = {name: player.output() for name, player in players.items()}
        for _ in range(options.rounds):
            for player in players.values():
                player.take_turn()
        rows: list[record.Row] = [
            {
                "threads": threads,
                "model": name,
                "latency_ms": round(statistics.median(player.times_ms) / options.batch_size, 1),
                "fastest_ms": round(min(player.times_ms) / options.batch_size, 1),
                "timm_over_it": round(ratio(players["timm"], player), 2) if "timm" in players else None,
                "largest_difference": record.rounded(float((outputs[name] - outputs[OURS]).abs().max()), 2),
            }
            for name, player in players.items()
        ]
    record.print_rows(rows)
    return rows


def ours(options: Options) -> nn.Module:
    """Random weights, the same in every process, with BatchNorm statistics that a fusion must not overlook."""
    torch.manual_seed(0)
    model = build(options.model, CLASSES)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def timm_model(options: Options, *, exportable: bool = False) -> nn.Module:
    """The peer with the same weights; `exportable` writes attention as timm does for exports."""
    import timm

    model: nn.Module = timm.create_model(options.model, exportable=exportable)
    model.load_state_dict(from_ours(ours(options).state_dict(), Recognized("timm", options.model, CLASSES)))
    return model


def _channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


OURS, FUSED = "mobilevit", "mobilevit, fused"
MODELS: dict[str, Callable[[Options], nn.Module]] = {
    "timm": timm_model,
    "timm, channels_last": lambda options: _channels_last(timm_model(options)),
    OURS: lambda options: _channels_last(ours(options)),
    FUSED: lambda options: fuse(ours(options)),
}


def prepare(name: str, options: Options) -> Prepared:
    """A model in the process where it is timed."""
    model = MODELS[name](options)
    images = torch.rand(
        options.batch_size, 3, options.image_size, options.image_size, generator=torch.Generator().manual_seed(0)
    )
    if name != "timm":
        images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        output = model.eval()(images)
    return output, _training(model.train(), images) if options.train else _inference(model, images)


def _inference(model: nn.Module, images: Tensor) -> Callable[[], None]:
    @torch.inference_mode()
    def step() -> None:
        model(images)

    return step


def _training(model: nn.Module, images: Tensor) -> Callable[[], None]:
    labels = torch.randint(CLASSES, (len(images),))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]

    return step


def timm_is_there() -> bool:
    if importlib.util.find_spec("timm") is None:
        return False
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError):  # torchvision beside another build of torch raises the latter
        return False
    return True


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
