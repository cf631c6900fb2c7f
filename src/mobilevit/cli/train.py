"""`mobilevit train DATA`, and `mobilevit train --resume RUN`."""

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.configuring import RunOptions, parse_run
from mobilevit.cli.options import INTERRUPTED, parse
from mobilevit.cli.training_progress import TerminalCallback
from mobilevit.errors import UsageError
from mobilevit.training.config import TrainConfig
from mobilevit.training.dry_run import dry_run
from mobilevit.training.run import RunResult, resume, train


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Train a model on a folder of images and write a run folder. `--resume RUN` goes on with one instead."""

    dry_run: bool = False  # take a few steps, say how long an epoch takes and how much memory; write nothing


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with a run that was stopped, exactly as it was configured."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]  # folder of the run
    data: Path | None = None  # where its dataset lies now; None: where it was
    epochs: int | None = None  # in all; the learning rate is from here on that of a run of so many; None: as configured


def run(arguments: Sequence[str]) -> int:
    callback = TerminalCallback()
    if any(argument.partition("=")[0] == "--resume" for argument in arguments):
        resumed = _options_to_resume(arguments)
        result = resume(resumed.resume, callback, data=resumed.data, epochs=resumed.epochs)
    else:
        options = parse_run(TrainOptions, "train", arguments)
        if options.dry_run:
            return _try_out(options.config, callback)
        result = train(options.config, callback)
    if _leads():
        _tell(result)
    return 0 if result.finished else INTERRUPTED


def _leads() -> bool:
    """torchrun starts this command once in every process; one of them speaks."""
    return os.environ.get("RANK", "0") == "0"


def _try_out(config: TrainConfig, callback: TerminalCallback) -> int:
    try:
        seen = dry_run(config, callback)
    finally:
        callback.end()
    if _leads():
        console.results().print(console.facts(seen.facts()))
    return 0


def _options_to_resume(arguments: Sequence[str]) -> ResumeOptions:
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in fields(ResumeOptions):
        finder.add_argument(f"--{option.name}", nargs="?")
    others = finder.parse_known_args(arguments)[1]
    if set(others) - {"-h", "--help"}:
        raise UsageError(
            f"--resume takes every option but --data and --epochs from RUN/config.json: leave out {' '.join(others)}"
        )
    return parse(ResumeOptions, "train", arguments)


def _tell(result: RunResult) -> None:
    if not result.finished:
        console.say(f"stopped; go on with: mobilevit train --resume {shlex.quote(str(result.folder))}")
        return
    model = "last.safetensors" if result.best_score is None else "best.safetensors"
    console.results().print(console.facts({"model": result.folder / model, "report": result.folder / "report.html"}))
