"""A figure with what makes it a claim: benchmarks/results/NAME.json, from which docs/benchmarks.md is rendered.

Each file holds the commands, the date, the hardware with its load, the versions, the goal, and the figures as tables:
lists of rows, whose keys end in the unit (`latency_ms`). A script writes its own file when it is given --results; where
the figures are from a time before there were such files, `note` says so. The standard library alone, as in gpu.py.
"""

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks" / "results"
Row = Mapping[str, object]


def write(
    name: str,
    tables: Mapping[str, Sequence[Row]],
    *,
    packages: Sequence[str] = ("torch",),
    goal: str = "",
    folder: Path = FOLDER,
) -> Path:
    """Write NAME.json into `folder` and return its path; `packages`: whose versions matter, where installed."""
    content = {
        "commands": [shlex.join(["python", _from_root(sys.argv[0]), *sys.argv[1:]])],
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "versions": {"python": platform.python_version(), **_versions(packages)},
        "goal": goal,
        "note": "",
        "tables": tables,
    }
    path = folder / f"{name}.json"
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}\npython benchmarks/render.py renders docs/benchmarks.md anew")
    return path


def _from_root(script: str) -> str:
    path = Path(script).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def hardware() -> str:
    """The processor, its cores, and how busy they were: a time means little without that."""
    cores = os.cpu_count() or 1
    load = f", load average {os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{_processor()}, {cores} core{'s' if cores > 1 else ''}{load}"


def _processor() -> str:
    """Its name; platform.processor() is empty or "x86_64" on Linux."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return found


def rounded(value: float, digits: int = 3) -> float:
    """A measured value in as many digits as it is worth."""
    return float(f"{value:.{digits}g}")


def print_rows(rows: Sequence[Row]) -> None:
    """A table for the terminal, which Markdown understands as well."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    print("|", " | ".join(columns), "|")
    print("|", " | ".join("---" for _ in columns), "|")
    for row in rows:
        print("|", " | ".join(str("" if row.get(column) is None else row[column]) for column in columns), "|")
    print(flush=True)
