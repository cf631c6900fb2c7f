"""Output of the commands: results on standard output, everything else on standard error.

Where an output is not a terminal, it has no colors, no progress bars, and lines of any length.
"""

import json
import logging
import re
import sys
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mobilevit.cli.flags import with_flags
from mobilevit.reporting.markup import text
from mobilevit.text import printable, printable_lines, to_json

ENDLESS = 100_000  # columns of an output that is not a terminal


@cache
def messages() -> Console:
    """Standard error: one console, so that lines appear above a bar that is running."""
    return Printer(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def results() -> Console:
    """Standard output."""
    return Printer(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else ENDLESS)


class Printer(Console):
    """A console that escapes control sequences in names."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(printable_lines(each) if isinstance(each, str) else each for each in objects), **options)


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Plain values as JSON on standard output."""
    sys.stdout.write(f"{json_text(value, indent=indent)}\n")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON in the encoding of standard output; what it lacks is escaped as JSON has it, not as a terminal would."""
    text = to_json(value, indent=indent)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), indent=indent, allow_nan=False)
    return text


def show_log() -> None:
    """The package's log on standard error, without warnings of libraries that users need not see."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache is no concern of the user's
    warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as boxes: docs/images.md
    log = logging.getLogger("mobilevit")
    if not log.handlers:
        log.addHandler(Lines())
        log.setLevel(logging.INFO)


class Lines(logging.Handler):
    """Log records as lines like all others, never folded."""

    def emit(self, record: logging.LogRecord) -> None:
        messages().print(with_flags(self.format(record)))


def say(line: str) -> None:
    """Print one line for people on standard error."""
    messages().print(printable(with_flags(line)))


def bar(*columns: ProgressColumn, hidden: bool = False) -> Progress:
    """A progress bar that disappears at its end, and is shown on a terminal only."""
    shown = columns or (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*shown, console=messages(), transient=True, disable=hidden or not messages().is_terminal)


def table(rows: Iterable[Mapping[str, object]], *, title: str | None = None) -> Table:
    """Rows as a table; the columns are the keys of the first row. Numbers stand to the right."""
    rows = list(rows)
    drawn = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for name, value in (rows[0] if rows else {}).items():
        right = isinstance(value, int | float) or re.fullmatch(r"[\d.,]+( px|%)?", str(value)) is not None
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(text(value) for value in row.values()))
    return drawn


def facts(pairs: Mapping[str, object]) -> Text:
    """Names and values, one pair a line."""
    width = max(map(len, pairs), default=0)
    lines = [Text.assemble((f"{name:<{width}}  ", "dim"), text(value)) for name, value in pairs.items()]
    return Text("\n").join(lines)


def wrote(paths: Iterable[Path]) -> None:
    """Report the files written."""
    for path in paths:
        say(f"wrote {path}")
