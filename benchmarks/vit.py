"""MobileViT beside the standard vision transformer: the paper's Table 3, and what attention costs as images grow.

    python benchmarks/vit.py

First table: parameters and multiply-adds as `mobilevit info` counts them, the time of one image here (eager, fused,
one after the other in turns, median), and the paper's figures for an iPhone 12 (Core ML; its FLOPs for MobileViT-XS
are those at 224 px without the products of attention).

Second table: the products of attention. A standard ViT lets N patches of d numbers meet: 2 N^2 d multiply-adds a
layer. MobileViT lets each of the P pixels of a patch meet its likes in the N patches: 2 N^2 P d. Both grow with the
square of the pixels; what the formulas predict stands beside what was counted in a pass.

What was measured: docs/benchmarks.md.
"""

import platform
import statistics
import time
from dataclasses import asdict, dataclass

import record
import torch
import tyro
from torch import nn

from mobilevit.inspection import info
from mobilevit.models.fuse import fuse
from mobilevit.models.table import build
from mobilevit.models.variants import XS, Variant
from mobilevit.models.vit import DEIT_TINY, ViT, ViTVariant


@dataclass(frozen=True)
class Options:
    """What to time."""

    image_sizes: tuple[int, ...] = (128, 192, 256, 384, 512, 768)  # of the images that grow; multiples of 64
    rounds: int = 20  # timed passes of each model
    threads: int = 1
    results: bool = False  # write benchmarks/results/vit.json too


@dataclass(frozen=True)
class Published:
    """What the paper prints (Tables 3, 6 and 9, Figure 6); "-" where it has nothing."""

    parameters: str
    flops_g: str
    top1_percent: str
    cpu_ms: str  # iPhone 12, as the next
    neural_engine_ms: str


WARM_UP = 3  # passes of each model that are not timed


PAPER = {
    "deit_tiny": (224, Published("5.7 M", "1.3", "72.2", "28.15", "10.99")),
    "mobilevit_xxs": (256, Published("1.3 M", "-", "69.0", "-", "-")),
    "mobilevit_xs": (256, Published("2.3 M", "0.7", "74.8", "17.86", "7.28")),
    "mobilevit_s": (256, Published("5.6 M", "-", "78.4", "-", "9.85")),
}


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {platform.machine()}, {options.threads} thread(s), {options.rounds} rounds\n")
    models, attention = _compare(options), _grow(options)
    record.print_rows(models)
    record.print_rows(attention)
    if options.results:
        record.write("vit", {"models": models, "attention": attention})


def _compare(options: Options) -> list[record.Row]:
    models = {name: _build(name, image_size) for name, (image_size, _) in PAPER.items()}
    times_ms = _times_ms([(model, PAPER[name][0]) for name, model in models.items()], options.rounds)
    rows: list[record.Row] = []
    for (name, (image_size, published)), time_ms in zip(PAPER.items(), times_ms, strict=True):
        cost = info(models[name], image_size)
        counts = {
            "parameters": cost.parameters,
            "multiply-adds_m": _millions(cost.macs.total),
            "attention_m": _millions(cost.macs.attention),
        }
        paper = {f"paper_{key}": value for key, value in asdict(published).items()}
        rows.append({"model": name, "input_px": image_size, **counts, "latency_ms": round(time_ms, 1), **paper})
    return rows


def _grow(options: Options) -> list[record.Row]:
    rows: list[record.Row] = []
    for image_size in options.image_sizes:
        models = [_build("deit_tiny", image_size), _build("mobilevit_xs", image_size)]
        times_ms = _times_ms([(model, image_size) for model in models], options.rounds)
        predictions = (_predict_vit(DEIT_TINY, image_size), _predict_mobilevit(XS, image_size))
        for name, model, (tokens, predicted), time_ms in zip(NAMES, models, predictions, times_ms, strict=True):
            macs = info(model, image_size).macs
            rows.append(
                {
                    "input_px": image_size,
                    "model": name,
                    "tokens": tokens,
                    "predicted_m": _millions(predicted),
                    "attention_m": _millions(macs.attention),
                    "share_percent": round(100 * macs.attention / macs.total),
                    "latency_ms": round(time_ms, 1),
                }
            )
    return rows


NAMES = ("deit_tiny", "mobilevit_xs")  # of the models that grow


def _build(name: str, image_size: int) -> nn.Module:
    return (ViT(DEIT_TINY, image_size=image_size) if name == "deit_tiny" else build(name, 1000)).eval()


def _predict_vit(variant: ViTVariant, image_size: int) -> tuple[str, int]:
    """N, and 2 N^2 d over the layers."""
    tokens = (image_size // variant.patch_px) ** 2 + 1  # the patches and the class token
    return str(tokens), 2 * tokens**2 * variant.dim * variant.depth


def _predict_mobilevit(variant: Variant, image_size: int) -> tuple[str, int]:
    """N of stages 3, 4 and 5, which lie at strides 8, 16 and 32, and 2 N^2 P d over all their layers."""
    patches = [(image_size // stride // 2) ** 2 for stride in (8, 16, 32)]
    macs = sum(2 * n**2 * 4 * dim * depth for n, dim, depth in zip(patches, variant.dims, variant.depths, strict=True))
    return ", ".join(map(str, patches)), macs


def _times_ms(models: list[tuple[nn.Module, int]], rounds: int) -> list[float]:
    """The median time of one image of each model, in turns."""
    players = [(fuse(model), torch.rand(1, 3, image_size, image_size)) for model, image_size in models]
    times_ms: list[list[float]] = [[] for _ in players]
    with torch.inference_mode():
        for _ in range(WARM_UP + rounds):
            for (model, image), times in zip(players, times_ms, strict=True):
                start_s = time.perf_counter()
                model(image)
                times.append(1e3 * (time.perf_counter() - start_s))
    return [statistics.median(times[WARM_UP:]) for times in times_ms]


def _millions(count: int) -> float:
    return round(count / 1e6, 2)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
