"""`mobilevit train DATA`, and `mobilevit train --resume RUN`."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mobilevit.cli import console
from mobilevit.cli.configuring import RunOptions, parse_run
from mobilevit.cli.options import INTERRUPTED, parse
from mobilevit.cli.watcher import TerminalWatcher
from mobilevit.errors import UsageError
from mobilevit.training.config import TrainConfig
from mobilevit.training.dry_run import dry_run
from mobilevit.training.run import RunResult, resume, train


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Train a network on a folder of pictures and write a run folder. `--resume RUN` goes on with one instead."""

    dry_run: bool = False  # take a few steps, say how long an epoch takes and how much memory; write nothing


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with a run that was stopped, exactly as it was configured."""

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]  # folder of the run


def run(arguments: Sequence[str]) -> int:
    watcher = TerminalWatcher()
    if any(argument.partition("=")[0] == "--resume" for argument in arguments):
        result = resume(_run_to_resume(arguments), watcher)
    else:
        options = parse_run(TrainOptions, "train", arguments)
        if options.dry_run:
            return _try_out(options.config, watcher)
        result = train(options.config, watcher)
    if _leads():
        _tell(result)
    return 0 if result.finished else INTERRUPTED


def _leads() -> bool:
    """torchrun starts this command once in every process; one of them speaks."""
    return os.environ.get("RANK", "0") == "0"


def _try_out(config: TrainConfig, watcher: TerminalWatcher) -> int:
    try:
        seen = dry_run(config, watcher)
    finally:
        watcher.end()
    if _leads():
        console.results().print(console.facts(seen.facts()))
    return 0


def _run_to_resume(arguments: Sequence[str]) -> Path:
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--resume", nargs="?")
    others = finder.parse_known_args(arguments)[1]
    if set(others) - {"-h", "--help"}:
        raise UsageError(f"--resume takes every option from RUN/config.json: leave out {' '.join(others)}")
    return parse(ResumeOptions, "train", arguments).resume


def _tell(result: RunResult) -> None:
    if not result.finished:
        console.say(f"stopped; go on with: mobilevit train --resume {result.folder}")
        return
    best, page = result.folder / "best.safetensors", result.folder / "report.html"
    console.results().print(console.facts({"model": best, "report": page}))
