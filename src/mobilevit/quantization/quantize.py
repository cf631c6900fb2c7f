"""`quantize`: every choice of a format is made, scored and timed; the best one within the loss is kept, and judged."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import nn

from mobilevit import tasks
from mobilevit.errors import ParityError, check_ranges, unknown
from mobilevit.exporting.folding import graph_of
from mobilevit.exporting.placing import place, put, require_ours
from mobilevit.files import temporary_folder
from mobilevit.formats import Runner
from mobilevit.formats.manifest import Manifest, read_manifest
from mobilevit.formats.table import FORMATS
from mobilevit.quantization.images import CALIBRATING, CHOOSING, JUDGING, Division, divided
from mobilevit.quantization.interval import paired_interval
from mobilevit.quantization.table import Choice, choices_of
from mobilevit.quantization.variants import INT8, Progress, Variant, VariantSearch
from mobilevit.runners import runner_for
from mobilevit.weights.creating import load, spec_of

log = logging.getLogger("mobilevit")


@dataclass(frozen=True)
class QuantizeConfig:
    """How the choices are tried, and which one is kept."""

    max_loss: float = 0.5  # points of the main score that a choice may lose
    prefer: Literal["speed", "size"] = "speed"  # of those within the loss: the fastest, or the smallest
    choices: tuple[str, ...] = ()  # names of those to try; none: all that the format has
    threads: int = 1  # of the runtime while it is timed
    runs: int = 50  # timed passes of each choice
    division: Division = field(default_factory=Division)

    def __post_init__(self) -> None:
        """UsageError for a number out of range."""
        check_ranges(self, max_loss=(0, 100), threads=(1, float("inf")), runs=(1, float("inf")))


@dataclass(frozen=True)
class Judgment:
    """The kept choice beside the model, on images that nothing was chosen by."""

    metric: str
    images: int
    model: float  # 0-1
    int8: float  # 0-1
    difference: float  # points, int8 minus model
    low: float  # of the difference, in points: the paired interval of 95 %
    high: float


@dataclass(frozen=True)
class Quantized:
    """A file in 8 bits, what else was tried, and how good it is."""

    path: Path
    manifest: Manifest
    variants: tuple[Variant, ...]  # the first is the file that the others were made of
    kept: Variant
    judgment: Judgment


class LossError(ParityError):
    """No choice is within the loss; `variants` are those that were tried."""

    def __init__(self, message: str, variants: Sequence[Variant]) -> None:
        super().__init__(message)
        self.variants = tuple(variants)


def quantize(
    model: str | Path | nn.Module,
    format: str = "onnx",
    *,
    calibrate: str | Path,
    evaluate: str | Path,
    output: str | Path | None = None,
    image_size: int | None = None,
    config: QuantizeConfig = QuantizeConfig(),
    progress: Progress | None = None,
) -> Quantized:
    """Write a model in 8 bits for one format, as `<model>.int8.<suffix>` with its manifest.

    Calibrates and chooses on training images of the dataset `calibrate`, and judges what is kept once, on a split of
    `evaluate`. `model`, `output` and `image_size` are those of `export`.

    LossError where every choice loses too much: then nothing is written. UsageError, MissingExtraError, DataError,
    ImageError, OutputError.
    """
    choices = _asked_for(format, config.choices)
    loaded = load(model) if isinstance(model, str | Path) else model.eval()
    reference = runner_for(loaded, device="cpu", image_size=image_size)
    task = tasks.get(reference.spec.task)
    data = divided(task, reference.spec.classes, Path(calibrate), Path(evaluate), config.division)
    folder, stem = place(model, output, spec_of(loaded).architecture, keep=False)
    path = folder / f"{stem}.{INT8}{FORMATS[format].suffix}"
    require_ours(path)
    with temporary_folder(folder, "quantize") as temporary:
        trial = VariantSearch(format, task, graph_of(loaded, task, image_size), data, temporary, progress)
        variants = trial.run(choices, reference, threads=config.threads, runs=config.runs)
        kept = _kept(variants, config, trial.title)
        judgment = _judged(trial, reference, kept)
        made = trial.path(kept.choice)
        manifest = replace(read_manifest(made), file=path.name, parity=_proof(trial, variants, kept, judgment, config))
        put(made, path, manifest)
    _warn(variants, kept, judgment, config)
    return Quantized(path, manifest, tuple(variants), kept, judgment)


def _asked_for(format: str, names: Sequence[str]) -> Mapping[str, Choice]:
    offered = choices_of(format)
    for name in names:
        if name not in offered:
            raise unknown(f"choice of {format}", name, offered)
    return {name: choice for name, choice in offered.items() if name in names or not names}


def _kept(variants: Sequence[Variant], config: QuantizeConfig, title: str) -> Variant:
    """The fastest or the smallest of those within the loss; where nothing could be timed, the smallest."""
    tried = variants[1:]
    within = [variant for variant in tried if variant.loss <= config.max_loss]
    if not within:
        nearest = min(tried, key=lambda variant: variant.loss, default=None)
        said = f"; the nearest is '{nearest.choice}' with {nearest.loss:.2f}" if nearest else ""
        raise LossError(
            f"no choice of {title} loses {config.max_loss:g} points at most{said}. Nothing is written: allow more with "
            "--max-loss, or use the file that `mobilevit export` makes",
            variants,
        )
    if config.prefer == "speed":
        return min(within, key=lambda variant: (variant.latency_ms or 0.0, variant.size_bytes))
    return min(within, key=lambda variant: variant.size_bytes)


def _judged(trial: VariantSearch, reference: Runner, kept: Variant) -> Judgment:
    """Both on the held-out images; the only time that these are looked at."""
    loaded = trial.score(reference, JUDGING, "the model, held out")
    int8 = trial.score(trial.runner(kept.choice), JUDGING, f"{kept.choice}, held out")
    low, high = paired_interval(int8.metric, loaded.metric, int8.images, partial(trial.tell, "the interval"))
    metric, score, mine = loaded.scores.primary[0], loaded.score, int8.score
    return Judgment(metric, int8.images, score, mine, 100 * (mine - score), 100 * low, 100 * high)


def _proof(
    trial: VariantSearch, variants: Sequence[Variant], kept: Variant, judgment: Judgment, config: QuantizeConfig
) -> dict[str, Any]:
    """What the manifest records."""
    return {
        "limits": {"loss": config.max_loss},
        "runtime": trial.runner(kept.choice).runtime,
        "choice": kept.choice,
        "calibration_images": len(trial.data.splits[CALIBRATING]),
        "choosing_images": len(trial.data.splits[CHOOSING]),
        "tried": [asdict(variant) for variant in variants],
        "held_out": asdict(judgment),
    }


def _warn(variants: Sequence[Variant], kept: Variant, judgment: Judgment, config: QuantizeConfig) -> None:
    """What should not be overlooked in the table."""
    base = variants[0]
    slower = [v for v in variants[1:] if v.latency_ms and base.latency_ms and v.latency_ms > base.latency_ms]
    for variant in slower:
        log.warning(
            "slower than %s on this machine: '%s', %.2f ms against %.2f",
            base.choice,
            variant.choice,
            variant.latency_ms,
            base.latency_ms,
        )
    if kept in slower:
        log.warning("the file that is kept saves space here and no time")
    if -judgment.difference > config.max_loss:
        log.warning(
            "on the held-out images the loss is %.2f points, more than --max-loss %g: so it is with few images to "
            "choose on, or by chance (see the interval)",
            -judgment.difference,
            config.max_loss,
        )
