"""What a run tells whoever watches it. The loop knows only this protocol: a terminal, a notebook or nobody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StepReport:
    """One training step, as it ended."""

    epoch: int  # from 0
    epochs: int
    step: int  # from 0, in this epoch
    steps: int  # of this epoch
    image_size: int
    loss: float  # mean over the epoch so far
    lr: float


class Callback(Protocol):
    """Callbacks of a run; none may raise."""

    def begin(self, facts: dict[str, str]) -> None:
        """Before the first step: what will be trained, on what, where it goes."""
        ...

    def notice(self, message: str) -> None:
        """Something the user should know, in one line."""
        ...

    def checking(self, done: int, total: int) -> None:
        """While every image is decoded once, before the run has a folder."""
        ...

    def step(self, report: StepReport) -> None: ...

    def validating(self, done: int, total: int) -> None: ...

    def epoch(self, row: Mapping[str, float | None]) -> None:
        """After each epoch: the new row of metrics.csv, in which only a score may be None."""
        ...

    def end(self) -> None:
        """Always called last, whatever happened."""
        ...


class Quiet:
    """Nobody watches."""

    def begin(self, facts: dict[str, str]) -> None: ...

    def notice(self, message: str) -> None: ...

    def checking(self, done: int, total: int) -> None: ...

    def step(self, report: StepReport) -> None: ...

    def validating(self, done: int, total: int) -> None: ...

    def epoch(self, row: Mapping[str, float | None]) -> None: ...

    def end(self) -> None: ...
