"""A training run on a terminal: one bar for the whole run, one line for each epoch that is over."""

from collections.abc import Iterable
from datetime import timedelta

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobilevit.cli import console
from mobilevit.training.watching import StepReport

TOLD_SCORES = 3  # columns of scores in the line of an epoch; metrics.csv has them all


class TerminalWatcher:
    """A training Watcher. Everything goes to standard error; without a terminal only the lines are printed."""

    def __init__(self) -> None:
        self._bar = console.bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("[dim]{task.fields[state]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]left"),
            TimeRemainingColumn(),
        )
        self._task: TaskID | None = None
        self._headed = False

    def begin(self, facts: dict[str, str]) -> None:
        console.messages().print(console.facts(facts))

    def notice(self, message: str) -> None:
        console.say(f"note: {message}")

    def step(self, report: StepReport) -> None:
        done = report.epoch + (report.step + 1) / report.steps
        self._show(
            f"epoch {report.epoch + 1}/{report.epochs}",
            f"loss {report.loss:.3f}  {report.size_px} px",
            done / report.epochs,
        )

    def validating(self, done: int, total: int) -> None:
        self._show(None, f"validating {done}/{total}", None)

    def epoch(self, row: dict[str, float]) -> None:
        scores = [name for name in row if name.startswith("val_")][:TOLD_SCORES]
        cells = {
            "epoch": f"{row['epoch']:.0f}",
            "train loss": f"{row['train_loss']:.4f}",
            **{name.removeprefix("val_"): f"{row[name]:.4f}" for name in scores},
            "time": str(timedelta(seconds=round(row["seconds"]))),
        }
        if not self._headed:
            self._headed = True
            console.say(_line(cells, cells))
        console.say(_line(cells, cells.values()))

    def end(self) -> None:
        self._bar.stop()

    def _show(self, title: str | None, state: str, share: float | None) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, state="")
        self._bar.update(self._task, description=title, completed=share, state=state)


def _line(names: Iterable[str], texts: Iterable[str]) -> str:
    """Texts in columns as wide as their names need."""
    return "".join(f"{text:>{max(12, len(name) + 2)}}" for name, text in zip(names, texts, strict=True))
