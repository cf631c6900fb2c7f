"""Findings about a dataset, from the common checks and those of a task."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobilevit.text import printable as printable

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One finding about a dataset. `message` is one line for people, with a remedy where there is one."""

    severity: Severity  # "error": training would stop; "warning": worth a look; "info"
    kind: str  # a short stable word: "unreadable", "imbalance", "duplicate", ...
    message: str
    paths: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """The message holds names of files and classes, which may hold anything."""
        object.__setattr__(self, "message", printable(self.message))


def inside(root: Path, path: Path) -> Path:
    """The path below `root`, for messages."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def listed(names: Iterable[object], most: int = 5, between: str = ", ") -> str:
    """Names joined for a message, those beyond `most` counted: "a, b, c and 1,204 more"."""
    texts = [printable(name) for name in names]
    shown = between.join(texts[:most])
    return f"{shown} and {len(texts) - most:,} more" if len(texts) > most else shown


def counted(count: int, noun: str) -> str:
    """ "1 image", "1,204 images"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}{'es' if noun.endswith(('s', 'x')) else 's'}"
