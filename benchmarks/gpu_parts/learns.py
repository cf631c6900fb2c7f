"""What the smallest classifier learns in the time that is left: the project's own `train`, from random weights.

A trial of two epochs says how long one takes; then as many are planned as end in time.
"""

import signal
import time
from dataclasses import replace

from gpu_parts import made
from gpu_parts.session import Check, Figures, NotRunError, Session
from gpu_parts.sizes import Sizes
from mobilevit import AugmentConfig, MultiScaleConfig, OptimizerConfig, TrainConfig, train
from mobilevit.errors import OutOfMemoryError
from mobilevit.training.callbacks import Quiet, StepReport
from mobilevit.weights import model_file

TRIAL = "trial"
GOAL = 0.9  # top-1 on Imagenette at 128 px
RESERVE_S = 10.0  # for the archive, and for what the trial did not see
SLOWER = 1.1  # than in the trial


class Clock(Quiet):
    """Notes when each epoch ended, and asks the run to stop when its time is up."""

    def __init__(self, ends_at_s: float) -> None:
        self.ends_at_s, self.epochs_s = ends_at_s, list[float]()
        self.asked = False

    def step(self, _report: StepReport) -> None:
        if time.time() > self.ends_at_s and not self.asked:
            self.asked = True
            signal.raise_signal(signal.SIGTERM)

    def epoch(self, row: dict[str, float]) -> None:
        self.epochs_s.append(time.time())
        print(f"epoch {row['epoch']:.0f}: {row}", flush=True)


def trial(session: Session, figures: Figures) -> None:
    """Two epochs, to plan by: seconds of the second one, and of all else around the epochs."""
    clock, started = Clock(session.ends_at_s - RESERVE_S), time.time()
    config = replace(_config(session), epochs=2, name=TRIAL)
    try:
        train(config, clock)
        figures["cache"] = config.cache
    except OutOfMemoryError as error:  # raised before anything is decoded
        figures["cache"], figures["because"] = "none", str(error)
        train(replace(config, cache="none"), clock)
    if len(clock.epochs_s) < 2:
        raise NotRunError("the time was up before two epochs were done")
    ended, (first, second) = time.time(), clock.epochs_s
    figures["seconds of an epoch"] = second - first
    figures["seconds around"] = (ended - second) + max(0.0, (first - started) - (second - first))


def run(session: Session, figures: Figures) -> None:
    """The run itself; the scores of its last weights, which no image of val has chosen."""
    entry = session.results.entry(session.part, "trial")
    if entry is None or "seconds around" not in entry["figures"]:
        raise NotRunError("the trial did not end")
    found = entry["figures"]
    left_s = session.seconds_left - RESERVE_S - found["seconds around"]
    epochs = int(left_s / (SLOWER * found["seconds of an epoch"]))
    if epochs < 1:
        raise NotRunError(f"an epoch takes {found['seconds of an epoch']:.0f} s, and {left_s:.0f} s are left")
    clock = Clock(session.ends_at_s - RESERVE_S - found["seconds around"])
    config = replace(_config(session), epochs=min(epochs, session.epochs), cache=found["cache"])
    result = train(config, clock)
    figures["epochs planned"], figures["epochs"] = config.epochs, len(clock.epochs_s)
    state, spec = model_file.load(result.folder / "last.safetensors")
    model_file.save(result.folder / "last-half.safetensors", model_file.in_half(state), spec)
    figures["last weights"] = spec.provenance.score
    figures["goal"] = f"top-1 of {GOAL:g} on Imagenette at 128 px"
    figures["training seconds"] = result.seconds
    figures.must("finished", str(result.finished), result.finished)


def _config(session: Session) -> TrainConfig:
    """The recipe `imagenette` for larger batches and more epochs."""
    sizes = session.sizes
    return TrainConfig(
        data=made.write_subset(session.data, session.work / "learn", sizes.learn),
        model="mobilevit_xxs",
        weights="none",
        patience=0,
        output=session.work / "runs",
        name="learns",
        overwrite=True,
        device=session.device.type,  # type: ignore[arg-type]
        precision="bf16" if session.device.type == "cuda" else "fp32",
        cache="memory",
        checkpoint_minutes=60.0,
        optim=OptimizerConfig(lr=2e-3, weight_decay=0.05, ema_decay=0.998),
        scale=MultiScaleConfig(image_size=sizes.learn_px, batch_size=sizes.learn_batch),
        augment=AugmentConfig(crop_area_min=0.2),
    )


def checks(_: Sizes) -> tuple[Check, ...]:
    return Check("trial", trial, seconds=600), Check("run", run, seconds=3600)
