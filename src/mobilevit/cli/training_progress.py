"""A training run on a terminal: one bar for the whole run, one line per finished epoch."""

from collections.abc import Mapping

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mobilevit.cli import console
from mobilevit.training.callbacks import StepReport
from mobilevit.training.lines import ProgressLines


class TerminalCallback:
    """A training Callback on standard error: a progress bar, or lines of text where there is no terminal."""

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
        self._lines = ProgressLines(console.say, within_epochs=not console.messages().is_terminal)

    def begin(self, facts: dict[str, str]) -> None:
        console.messages().print(console.facts(facts))

    def notice(self, message: str) -> None:
        self._lines.notice(message)

    def checking(self, done: int, total: int) -> None:
        self._lines.checking(done, total)
        self._show("decoding every image once", f"{done:,}/{total:,}", done / total)

    def step(self, report: StepReport) -> None:
        self._lines.step(report)
        done = report.epoch + (report.step + 1) / report.steps
        self._show(
            f"epoch {report.epoch + 1}/{report.epochs}",
            f"loss {report.loss:.3f}  {report.image_size} px",
            done / report.epochs,
        )

    def validating(self, done: int, total: int) -> None:
        self._lines.validating(done, total)
        self._show(None, f"validating {done}/{total}", None)

    def epoch(self, row: Mapping[str, float | None]) -> None:
        self._lines.epoch(row)

    def end(self) -> None:
        self._bar.stop()

    def _show(self, title: str | None, state: str, share: float | None) -> None:
        if self._task is None:
            self._bar.start()
            self._task = self._bar.add_task("", total=1.0, state="")
        self._bar.update(self._task, description=title, completed=share, state=state)
