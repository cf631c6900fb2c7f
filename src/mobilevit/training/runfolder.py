"""The run folder, `runs/<name>/`, and its files. Documented in docs/run-folder.md."""

import csv
import difflib
import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import rmtree

from filelock import FileLock, Timeout

from mobilevit.datasets.finding import listed
from mobilevit.errors import OutputError, TrainingError, UsageError
from mobilevit.files import clear_abandoned, is_temporary, make_folder, write_atomically
from mobilevit.text import words_of
from mobilevit.training.config import TrainConfig, from_json, to_json

LOCK = ".lock"  # name of the file that a training process holds


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
    def held(self) -> Iterator[None]:
        """Locks the folder against other processes; TrainingError if one is training there.

        The lock of a killed process is released.
        """
        lock = FileLock(self.path / LOCK, blocking=False)
        try:
            with lock:
                yield
        except Timeout:
            raise TrainingError(f"another process is training in {self.path}: stop it, or wait until it ends") from None

    def tidy(self) -> None:
        """Remove half-written files of a killed process; call it only with the lock."""
        for place in (self.path, self.checkpoint.parent):
            clear_abandoned(place)

    def write_config(self, config: TrainConfig) -> None:
        """Store the configuration for later attempts."""
        write_atomically(self.config, to_json(config))

    def write_metrics(self, rows: Sequence[Mapping[str, float | None]]) -> None:
        """Write the whole history, one row per epoch; scores that were not measured stay empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(self.metrics, text.getvalue())


@contextmanager
def new_run(config: TrainConfig) -> Iterator[RunFolder]:
    """A new run folder with its config.json, locked as long as this is entered.

    A run without a name gets the first free number. TrainingError if the name is taken; of two processes that request
    the same name at once, one gets it.
    """
    make_folder(config.output)
    with ExitStack() as held:
        if config.name is None:
            folder = _numbered(config, held)
        else:
            folder = RunFolder(make_folder(config.output / config.name))
            _must_be_ours(folder)
            held.enter_context(folder.held())
            _make_room(folder, overwrite=config.overwrite)
        folder.write_config(config)
        yield folder


def _numbered(config: TrainConfig, held: ExitStack) -> RunFolder:
    """The first folder that this process makes: whoever finds one made leaves it to its maker."""
    for number in count(1):
        folder = RunFolder(config.output / f"{config.model}-{number}")
        with suppress(FileExistsError):
            _make(folder.path)
            held.enter_context(folder.held())
            return folder
    raise AssertionError


def _make(path: Path) -> None:
    try:
        path.mkdir()
    except FileExistsError:
        raise
    except OSError as error:
        raise OutputError(f"cannot create the folder {path}: {error.strerror}. Choose another folder.") from error


def _must_be_ours(folder: RunFolder) -> None:
    """Nothing is written into a folder of other things; what a process that begins a run makes first is none."""
    others = (path.name for path in folder.path.iterdir() if path.name != LOCK and not is_temporary(path))
    if not folder.config.exists() and any(others):
        raise TrainingError(f"{folder.path} is not a run folder and not empty: choose another `name`")


def _make_room(folder: RunFolder, *, overwrite: bool) -> None:
    """Take an earlier run of that name away, where that is wanted; nothing is removed that is not a run."""
    folder.tidy()
    if not folder.config.exists():
        return
    if not overwrite:
        raise TrainingError(
            f"{folder.path} already contains a run. Resume it with `mobilevit train --resume "
            f"{shlex.quote(str(folder.path))}`, choose another `name`, or replace it with `overwrite`."
        )
    open_run(folder.path)
    for path in folder.path.iterdir():
        if path.is_dir() and not path.is_symlink():
            rmtree(path)
        elif path.name != LOCK:  # which is held
            path.unlink()


def open_run(path: Path) -> tuple[RunFolder, TrainConfig]:
    """An existing run and its configuration; TrainingError, with a suggestion, if `path` is not one."""
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise TrainingError(_no_run(path))
    try:
        return folder, from_json(folder.config.read_text(encoding="utf-8"))
    except (ValueError, TypeError, AttributeError, UsageError) as error:
        raise TrainingError(f"{folder.config} is not a valid run configuration: {words_of(error)}") from error


def _no_run(path: Path) -> str:
    """What `path` is instead of a run folder, and which folder may be meant."""
    around = next((parent for parent in path.parents if path.exists() and RunFolder(parent).config.is_file()), None)
    if around is not None:
        return f"{path} is part of a run: give the run folder, {around}"
    if path.is_file():
        return f"{path} is a file, not a run folder: to start a new run from a model file, give it as `weights`"
    if path.is_dir():
        runs = [below for below in sorted(path.glob("*")) if RunFolder(below).config.is_file()]
        offer = f", but contains runs: give one of {listed(runs)}" if runs else ": it has no config.json"
        return f"{path} is not a run folder{offer}"
    elsewhere = RunFolder(TrainConfig(Path()).output / path)
    if elsewhere.config.is_file():
        return f"folder {path} does not exist: did you mean {elsewhere.path}?"
    names = [run.name for run in path.parent.glob("*") if RunFolder(run).config.is_file()]
    near = [str(path.parent / name) for name in difflib.get_close_matches(path.name, names, n=3)]
    return f"folder {path} does not exist{f': did you mean {listed(near)}?' if near else ''}"
