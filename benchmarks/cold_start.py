"""How soon does a fresh process say what is in an image, and how much memory does it take?

    python benchmarks/cold_start.py PHOTO [FOLDER]

exports the packaged model as ONNX, OpenVINO and LiteRT into FOLDER (a temporary one; what is there already is kept),
and lets processes take turns that import the package, open one of the files and predict the photo once. A time is from
the start of the process to its answer; memory is the most that it ever had (VmHWM, so Linux alone). Both are medians of
`--rounds`. The goals are 1 s and 200 MB for each.

Measured on two cores of an Intel Xeon at 2.8 GHz, a shared machine under a load of 6. Before, the package imported
torch for an exported model as well. The time of the processor is what a loaded machine does not stretch:

| | before: s, of the processor, MB | after: s, of the processor, MB |
|---|---|---|
| ONNX | 5.17, 3.25, 300 | 0.73, 0.68, 96 |
| OpenVINO | 5.59, 3.57, 345 | 1.33, 1.12, 149 |
| LiteRT | 5.25, 3.01, 283 | 0.60, 0.58, 80 |
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from mobilevit import export
from mobilevit.formats.table import FORMATS

EACH = ("onnx", "openvino", "litert")
CHILD = """
import json, sys, time
from mobilevit import Predictor
[result] = Predictor(sys.argv[1])(sys.argv[2])
seconds = time.time() - float(sys.argv[3])
lines = open("/proc/self/status").read().splitlines()
peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(json.dumps([seconds, time.process_time(), peak_kb * 1.024 / 1000, "torch" in sys.modules]))
"""


@dataclass(frozen=True)
class Options:
    """Where, and how often."""

    photo: Annotated[Path, tyro.conf.Positional]
    folder: Annotated[Path | None, tyro.conf.Positional] = None  # of the exported files; None: a temporary one
    rounds: int = 5  # processes of each


class Start(NamedTuple):
    """One process."""

    seconds: float
    processor_seconds: float  # of all its threads: what a loaded machine does not stretch
    peak_mb: float
    has_torch: bool


def main(options: Options) -> None:
    with folder_of(options) as folder:
        paths = {name: folder / f"packaged{FORMATS[name].suffix}" for name in EACH}
        if missing := [name for name, path in paths.items() if not path.exists()]:
            export("imagenette", missing, output=folder, name="packaged")
        starts: dict[str, list[Start]] = {name: [] for name in EACH}
        for _ in range(options.rounds):
            for name, path in paths.items():
                starts[name].append(started(path, options.photo))
    print(f"{'format':<10}{'s':>8}{'processor s':>13}{'MB':>8}  torch")
    for name, found in starts.items():
        seconds, processor_seconds, peak_mb, has_torch = map(statistics.median, zip(*found, strict=True))
        imported = "imported" if has_torch else "not imported"
        print(f"{name:<10}{seconds:8.2f}{processor_seconds:13.2f}{peak_mb:8.0f}  {imported}")
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")


@contextmanager
def folder_of(options: Options) -> Iterator[Path]:
    if options.folder is not None:
        yield options.folder
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def started(path: Path, photo: Path) -> Start:
    """A process from its start to its end."""
    command = [sys.executable, "-c", CHILD, str(path), str(photo), str(time.time())]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Start(*json.loads(said.splitlines()[-1]))


if __name__ == "__main__":
    main(tyro.cli(Options))
