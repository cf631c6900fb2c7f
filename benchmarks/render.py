"""docs/benchmarks.md from its template and the results: `python benchmarks/render.py`.

The template, benchmarks/benchmarks.md.jinja, has the words; the figures come from benchmarks/results/NAME.json. A test
compares what this gives with the document.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
Result = Mapping[str, Any]
UNITS = {
    "ms": "ms",
    "s": "s",
    "px": "px",
    "mb": "MB",
    "m": "M",
    "g": "G",
    "percent": "%",
}  # by the end of a column's name


def main() -> None:
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(f"written: {DOCUMENT}")


def results() -> dict[str, Result]:
    """What was measured, by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def document() -> str:
    """The text of docs/benchmarks.md."""
    templates = Environment(
        loader=FileSystemLoader(ROOT / "benchmarks"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("benchmarks.md.jinja").render(results=results(), facts=facts, table=table)


def facts(result: Result) -> str:
    """Commands, hardware with versions and date, goal and note, a line each."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    measured = ", ".join(filter(None, [result["hardware"], versions, result["date"]]))
    said = {"Command": _commands(result["commands"]), "Measured on": measured}
    said |= {name.capitalize(): result[name] for name in ("goal", "note")}
    return "\n".join(f"- {name}: {text}" for name, text in said.items() if text)


def table(rows: Sequence[Result], *columns: str) -> str:
    """A table of the rows, with all columns unless some are named."""
    columns = columns or tuple(dict.fromkeys(column for row in rows for column in row))
    cells = [_cells([row.get(column) for row in rows]) for column in columns]
    lines = [" | ".join(map(_heading, columns)), *map(" | ".join, zip(*cells, strict=True))]
    return "\n".join(f"| {line} |" for line in [*lines[:1], " | ".join(["---"] * len(columns)), *lines[1:]])


def _heading(column: str) -> str:
    """ "latency_ms" -> "latency (ms)"."""
    words, _, unit = column.rpartition("_")
    return f"{words} ({UNITS[unit]})".replace("_", " ") if unit in UNITS else column.replace("_", " ")


def _cells(values: Sequence[object]) -> list[str]:
    """Of one column, whose fractions all get as many digits as the longest needs."""
    fractions = [repr(value) for value in values if isinstance(value, float)]
    digits = max((len(text.partition(".")[2]) for text in fractions if "e" not in text), default=0)
    form = ".1e" if any("e" in text for text in fractions) else f",.{digits}f"
    return [_cell(value, form) for value in values]


def _cell(value: object, form: str) -> str:
    if isinstance(value, list):
        return _commands(value)
    if isinstance(value, float):
        return format(value, form)
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _commands(commands: Sequence[str]) -> str:
    return ", then ".join(f"`{command}`" for command in commands)


if __name__ == "__main__":
    main()
