"""What is said about a data set, by the doctor and by a task's own checks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing to say about a data set. `message` is one line for people, with what to do where that helps."""

    severity: Severity  # "error": training would stop; "warning": worth a look; "info"
    kind: str  # a short stable word: "unreadable", "imbalance", "duplicate", ...
    message: str
    paths: tuple[Path, ...] = ()
