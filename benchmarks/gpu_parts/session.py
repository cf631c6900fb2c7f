"""How a part of benchmarks/gpu.py runs its checks: each guarded, timed, limited, and written down at once.

A check that hangs, or breaks the GPU's context, ends the process. Started again, the part goes on behind that check.
"""

import faulthandler
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_parts.results import FAILED, NEEDS_CUDA, NOT_RUN, PASSED, RUNNING, Results
from gpu_parts.sizes import SIZES, Sizes

BROKEN = 70  # exit code: the GPU's context is lost, a new process may go on


class NotRunError(Exception):
    """A check cannot run here, and the text says why."""


class Figures(dict[str, float | str]):
    """What a check measures, by name, and the limits that some of it must keep."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[str, str] = {}
        self.problems: list[str] = []

    def at_most(self, name: str, value: float, limit: float) -> None:
        self._limited(name, value, value <= limit, f"at most {limit:g}")

    def at_least(self, name: str, value: float, limit: float) -> None:
        self._limited(name, value, value >= limit, f"at least {limit:g}")

    def must(self, name: str, value: str, holds: bool) -> None:
        """A fact in words that must be so."""
        self._limited(name, value, holds, "as it must be" if holds else "wrong")

    def _limited(self, name: str, value: float | str, holds: bool, limit: str) -> None:  # NaN holds no limit
        self[name], self.limits[name] = value, limit
        if not holds:
            self.problems.append(f"{name} is {value}: {limit}")


@dataclass(frozen=True)
class Check:
    """One thing that a part looks at."""

    name: str
    run: Callable[["Session", Figures], None]
    seconds: float = 30.0  # after so long it is given up; times the patience of the sizes
    needs_cuda: bool = False


class Session:
    """A part in its process: where it runs, on what, how much time is left."""

    def __init__(self, part: str, settings: dict[str, str | float]) -> None:
        self.part = part
        self.device = torch.device(str(settings["device"]))
        self.sizes: Sizes = SIZES[str(settings["sizes"])]
        self.work, self.output = Path(str(settings["work"])), Path(str(settings["output"]))
        self.given_data = Path(str(settings["data"])) if settings["data"] else None
        self.epochs = int(settings["epochs"])
        self.ends_at_s = float(settings["ends_at_s"])  # of time.time()
        self.results = Results(self.output / "results.json")

    @property
    def data(self) -> Path:
        """The dataset, as the first part left it: a folder with train and val."""
        return self.work / "data"

    @property
    def seconds_left(self) -> float:
        return self.ends_at_s - time.time()

    def run(self, checks: Sequence[Check]) -> None:
        """Every check that has no result yet."""
        for check in checks:
            if self.results.entry(self.part, check.name) is None:
                self.results.put(self.part, check.name, note="no time was left")
        for check in checks:
            entry = self.results.entry(self.part, check.name)
            if entry and entry["status"] == NOT_RUN and self.seconds_left > 1:
                self._run(check)

    def _run(self, check: Check) -> None:
        if check.needs_cuda and self.device.type != "cuda":
            self.results.put(self.part, check.name, status=NEEDS_CUDA, note="")
            return
        print(f"[{self.part}] {check.name}", flush=True)
        self.results.put(self.part, check.name, status=RUNNING, note="")
        figures, note, started = Figures(), "", time.perf_counter()
        faulthandler.dump_traceback_later(min(check.seconds * self.sizes.patience, self.seconds_left), exit=True)
        try:
            check.run(self, figures)
            synchronize(self.device)
            status = FAILED if figures.problems else PASSED
            note = "; ".join(figures.problems)
        except NotRunError as error:
            status, note = "left out", str(error)
        except Exception as error:
            traceback.print_exc()
            status, note = FAILED, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        finally:
            faulthandler.cancel_dump_traceback_later()
        seconds = time.perf_counter() - started
        self.results.put(
            self.part,
            check.name,
            status=status,
            seconds=round(seconds, 2),
            figures=figures,
            limits=figures.limits,
            note=note,
        )
        print(f"[{self.part}] {check.name}: {status} {note}", flush=True)
        self._leave_where_broken()

    def _leave_where_broken(self) -> None:
        try:
            synchronize(self.device)
        except RuntimeError as error:
            print(f"[{self.part}] the GPU's context is lost ({error}): a new process goes on", flush=True)
            sys.exit(BROKEN)


def synchronize(device: torch.device) -> None:
    """Wait for the GPU; its errors appear here."""
    if device.type == "cuda" and torch.cuda.is_available():
        torch.cuda.synchronize()
