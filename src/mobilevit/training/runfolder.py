"""The folder of one run, `runs/<name>/`: what stands where. docs/run-folder.md says it for people."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from filelock import FileLock, Timeout

from mobilevit.errors import TrainingError, UsageError
from mobilevit.files import make_folder, write_atomically
from mobilevit.training.config import TrainConfig, from_json, to_json


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint" / "state.safetensors"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @contextmanager
    def held(self, leads: bool = True) -> Iterator[None]:
        """Keeps other processes from training in the folder, where this process `leads`; TrainingError where one does.

        A process that is killed lets go.
        """
        lock = FileLock(self.path / ".lock", blocking=False)
        try:
            with lock if leads else nullcontext():
                yield
        except Timeout:
            raise TrainingError(f"another process is training in {self.path}: stop it, or wait for its end") from None

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        """The whole history, a row an epoch."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.metrics, text.getvalue())


def new_run(config: TrainConfig) -> RunFolder:
    """A fresh folder for a run, with its config.json; TrainingError where the name is taken."""
    folder = RunFolder(config.output / config.name) if config.name else _numbered(config.output, config.model)
    if folder.config.exists():
        if not config.overwrite:
            raise TrainingError(
                f"{folder.path} holds a run already. Continue it with --resume {folder.path}, choose another --name, "
                "or replace it with --overwrite."
            )
        open_run(folder.path)  # nothing is removed that is not a run, or still goes on
        with folder.held():
            rmtree(folder.path)
    make_folder(folder.path)
    write_atomically(folder.config, to_json(config))
    return folder


def open_run(path: Path) -> tuple[RunFolder, TrainConfig]:
    """An existing run and its configuration; TrainingError where `path` is not one."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise TrainingError(f"{path} is not a run folder: it has no config.json")
    try:
        return folder, from_json(folder.config.read_text(encoding="utf-8"))
    except (ValueError, TypeError, AttributeError, UsageError) as error:
        raise TrainingError(f"{folder.config} is not the configuration of a run: {error}") from error


def _numbered(output: Path, model: str) -> RunFolder:
    number = 1
    while (output / f"{model}-{number}").exists():
        number += 1
    return RunFolder(output / f"{model}-{number}")
