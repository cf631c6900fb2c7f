"""What a run of benchmarks/gpu.py found, in one file that is complete after every check.

The standard library alone: the process that starts the parts must survive whatever they import.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOT_RUN, RUNNING, PASSED, FAILED = "not run", "running", "passed", "failed"
NEEDS_CUDA = "needs CUDA"
Entry = dict[str, Any]  # part, name, status, seconds, figures, limits, note


class Results:
    """`results.json`: facts about the run, how long each part took, and an entry for each check.

    One process at a time writes: the starting one between the parts, a part while it runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {"facts": {}, "parts": {}, "checks": []}
        found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return found

    @contextmanager
    def changed(self) -> Iterator[dict[str, Any]]:
        """The content, to be changed in place; written whole at the end of the block."""
        content = self.read()
        yield content
        beside = self.path.with_name(f".{self.path.name}")
        beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
        beside.replace(self.path)

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        with self.changed() as content:
            content["facts"].update(facts)

    def entry(self, part: str, name: str) -> Entry | None:
        return _find(self.read(), part, name)

    def put(self, part: str, name: str, **values: Any) -> None:
        """Change the entry of a check, or add it."""
        with self.changed() as content:
            entry = _find(content, part, name)
            if entry is None:
                entry = {"part": part, "name": name, "status": NOT_RUN, "seconds": 0.0, "figures": {}, "limits": {}}
                content["checks"].append(entry)
            entry.update(values)

    def close_running(self, part: str, status: str, note: str) -> None:
        """Give the checks that a process left unfinished their result."""
        names = [
            entry["name"] for entry in self.read()["checks"] if (entry["part"], entry["status"]) == (part, RUNNING)
        ]
        for name in names:
            self.put(part, name, status=status, note=note)

    def settled(self, part: str) -> int:
        """How many checks of a part have their result."""
        return sum(entry["part"] == part and entry["status"] in (PASSED, FAILED) for entry in self.read()["checks"])


def _find(content: Mapping[str, Any], part: str, name: str) -> Entry | None:
    return next((entry for entry in content["checks"] if (entry["part"], entry["name"]) == (part, name)), None)


def markdown(content: Mapping[str, Any]) -> str:
    """results.md: the facts, then a row for each check."""
    lines = [f"# GPU benchmark, {content['facts'].get('date', time.strftime('%Y-%m-%d'))}", ""]
    lines += [f"- {name}: {_plain(value)}" for name, value in content["facts"].items()]
    lines += ["", "| part | seconds | of at most | ended |", "|---|---|---|---|"]
    for name, part in content["parts"].items():
        lines.append(f"| {name} | {part['seconds']:.0f} | {part['box_seconds']:.0f} | {part['status']} |")
    lines += ["", "| part | check | result | seconds | figures |", "|---|---|---|---|---|"]
    for entry in content["checks"]:
        figures = [f"{name} {_plain(value)}{_limit(entry, name)}" for name, value in entry["figures"].items()]
        said = "; ".join([*figures, *filter(None, [entry.get("note", "")])]).replace("|", "/")
        lines.append(f"| {entry['part']} | {entry['name']} | {entry['status']} | {entry['seconds']:.1f} | {said} |")
    return "\n".join(lines) + "\n"


def _limit(entry: Entry, name: str) -> str:
    return f" ({entry['limits'][name]})" if name in entry["limits"] else ""


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
