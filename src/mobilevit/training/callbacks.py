"""Callbacks: how a run reports progress. The loop knows only this protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StepReport:
    """A finished training step."""

    epoch: int  # from 0
    epochs: int
    step: int  # from 0, in this epoch
    steps: int  # of this epoch
    image_size: int
    loss: float  # mean over the epoch so far
    lr: float


class Callback(Protocol):
    """Receives the progress of a run; its methods must not raise."""

    def begin(self, facts: dict[str, str]) -> None:
        """Before the first step: model, data and output of the run."""
        ...

    def notice(self, message: str) -> None:
        """A one-line notice for the user."""
        ...

    def checking(self, done: int, total: int) -> None:
        """While every image is decoded once, before the run folder exists."""
        ...

    def step(self, report: StepReport) -> None: ...

    def validating(self, done: int, total: int) -> None: ...

    def epoch(self, row: Mapping[str, float | None]) -> None:
        """After each epoch: the new row of metrics.csv; scores may be None."""
        ...

    def end(self) -> None:
        """Always called last, also after an error."""
        ...


class Quiet:
    """Reports nothing."""

    def begin(self, facts: dict[str, str]) -> None: ...

    def notice(self, message: str) -> None: ...

    def checking(self, done: int, total: int) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def validating(self, done: int, total: int) -> None: ...

    def epoch(self, row: Mapping[str, float | None]) -> None: ...

    def end(self) -> None: ...
