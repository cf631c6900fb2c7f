"""Training progress as lines of text, for scripts, notebooks and logs: one per epoch, more within long epochs."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial

from mobilevit.text import printable
from mobilevit.training.callbacks import StepReport

TOLD_SCORES = 3  # columns of scores in the line of an epoch; metrics.csv has them all
LEAST_SECONDS, MOST_SECONDS = 30.0, 600.0  # from one line to the next within an epoch
LEAST_SHARE = 0.1  # of an epoch, unless the longer time is over


class ProgressLines:
    """A callback that prints lines; the default of `train` and `resume`."""

    def __init__(
        self,
        say: Callable[[str], None] | None = None,
        *,
        within_epochs: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`say` receives each line, by default `print`; `within_epochs` adds lines within long epochs."""
        self._say = say or partial(print, flush=True)
        self._within_epochs, self._clock = within_epochs, clock
        self._last_seconds, self._last_share = clock(), 0.0
        self._headed = False

    def begin(self, facts: dict[str, str]) -> None:
        width = max(map(len, facts), default=0)
        for name, value in facts.items():
            self._tell(f"{name:<{width}}  {value}")

    def notice(self, message: str) -> None:
        self._tell(f"note: {message}")

    def checking(self, done: int, total: int) -> None:
        self._tell_if_due("decoding every image once", done, total)

    def step(self, report: StepReport) -> None:
        title = f"epoch {report.epoch + 1}/{report.epochs}, loss {report.loss:.3f}, step"
        self._tell_if_due(title, report.step + 1, report.steps)

    def validating(self, done: int, total: int) -> None:
        self._tell_if_due("validating", done, total)

    def epoch(self, row: Mapping[str, float | None]) -> None:
        scores = [name for name in row if name.startswith("val_")][:TOLD_SCORES]
        cells = {
            "epoch": f"{row['epoch']:.0f}",
            "train loss": f"{row['train_loss']:.4f}",
            **{name.removeprefix("val_"): _score(row[name]) for name in scores},
            "time": str(timedelta(seconds=round(row["seconds"] or 0.0))),
        }
        if not self._headed:
            self._headed = True
            self._tell(_line(cells, cells))
        self._tell(_line(cells, cells.values()))

    def end(self) -> None: ...

    def _tell_if_due(self, title: str, done: int, total: int) -> None:
        """Not every step: where it has come a good part further, or where a sign of life is due."""
        share = done / total
        self._last_share = min(self._last_share, share)  # another epoch, or its validation, begins again
        waited = self._clock() - self._last_seconds
        far_enough = share - self._last_share >= LEAST_SHARE or waited >= MOST_SECONDS
        if self._within_epochs and done < total and waited >= LEAST_SECONDS and far_enough:
            self._last_share = share
            self._tell(f"{title} {done:,} of {total:,}")

    def _tell(self, line: str) -> None:
        self._say(printable(line))
        self._last_seconds = self._clock()


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _line(names: Iterable[str], texts: Iterable[str]) -> str:
    """Texts in columns as wide as their names need."""
    return "".join(f"{text:>{max(12, len(name) + 2)}}" for name, text in zip(names, texts, strict=True))
