"""`mobilevit train DATA`, and `mobilevit train --resume RUN`."""

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.configuring import RunOptions, parse_run
from mobilevit.cli.options import INTERRUPTED, CommandOptions, parse
from mobilevit.cli.training_progress import TerminalCallback
from mobilevit.errors import UsageError
from mobilevit.training.config import TrainConfig
from mobilevit.training.dry_run import dry_run
from mobilevit.training.run import RunResult, resume, train


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Train a model on a folder of images, and write a run folder. Or resume a stopped run: train --resume RUN."""

    dry_run: bool = False  # run a few steps, report time per epoch and peak memory, write nothing
    # run folder to resume, in place of DATA; of the other options it takes only --data and --epochs
    resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None


@dataclass(frozen=True)
class ResumeOptions(CommandOptions):
    """Resume a stopped run with its stored configuration."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]  # run folder to resume
    data: Path | None = None  # new location of its dataset; None: unchanged
    epochs: int | None = None  # new total, to which the learning rate schedule is stretched; None: unchanged


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
    """torchrun starts this command once in every process; only the first one prints."""
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
    finder.add_argument("--debug", action="store_true")
    for name in ("resume", "data", "epochs"):
        finder.add_argument(f"--{name}", nargs="?")
    others = finder.parse_known_args(arguments)[1]
    if set(others) - {"-h", "--help"}:
        raise UsageError(
            "with --resume, only --data and --epochs can be changed; all other options come from RUN/config.json: "
            f"remove {' '.join(others)}"
        )
    return parse(ResumeOptions, "train", arguments)


def _tell(result: RunResult) -> None:
    if not result.finished:
        console.say(f"stopped; to resume: mobilevit train --resume {shlex.quote(str(result.folder))}")
        return
    model = "last.safetensors" if result.best_score is None else "best.safetensors"
    console.results().print(console.facts({"model": result.folder / model, "report": result.folder / "report.html"}))
