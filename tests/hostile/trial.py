"""A program that opens mutated inputs, each in a child with limits, and tells how each ended.

    python tests/hostile/trial.py --count 10000 --seed 0

Prints a table by kind of input. An input may open, or end in an error of ours; everything else is a fault: another
exception, a crash, more than SECONDS of the processor, more than MEGABYTES above what the process had before, or a
word on standard error.
"""

import argparse
import contextlib
import json
import logging
import os
import resource
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutations import mutated
from seeds import Seed, seeds

from mobilevit.errors import MobileViTError

SECONDS = 10
MEGABYTES = 1024
FAULTS = ("exception", "crash", "time", "memory", "noise")


@dataclass(frozen=True)
class Trial:
    """How one input ended."""

    seed: str  # its name
    number: int
    ending: str  # ok, error, or one of FAULTS
    said: str


def trials(count: int, seed: int) -> Iterator[Trial]:
    """`count` inputs, evenly over the kinds; number `n` of a seed is the same input on every machine."""
    logging.getLogger("mobilevit").addHandler(logging.NullHandler())  # our own words to the user are no noise
    kinds = seeds()
    for number in range(count):
        yield _tried(kinds[number % len(kinds)], number, seed)


def _tried(kind: Seed, number: int, seed: int) -> Trial:
    rng = np.random.default_rng((seed, number))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        chosen = kind.mutated[int(rng.integers(len(kind.mutated)))]
        for path, content in kind.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(mutated(rng, content) if path == chosen else content)
        ending, said = _in_a_child(kind, folder, Path(name))
    return Trial(kind.name, number, ending, said)


def _in_a_child(kind: Seed, folder: Path, scratch: Path) -> tuple[str, str]:
    noise, report = scratch / "noise", scratch / "report"
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    child = os.fork()
    if child == 0:
        _open_with_limits(kind, folder, noise, report)
    _, status, usage = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return ("time" if number in (signal.SIGXCPU, signal.SIGKILL) else "crash"), signal.Signals(number).name
    ending, said = json.loads(report.read_text())
    if ending in ("ok", "error"):
        if usage.ru_maxrss // 1024 - before_mb > MEGABYTES:
            return "memory", f"{usage.ru_maxrss // 1024 - before_mb} MB"
        if heard := noise.read_bytes():
            return "noise", heard.decode(errors="replace")[:200]
    return ending, said


def _open_with_limits(kind: Seed, folder: Path, noise: Path, report: Path) -> None:
    """Never returns: the child ends here."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    descriptor = os.open(noise, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    ending, said = "ok", ""
    try:
        kind.open(folder)
    except MobileViTError as error:
        ending, said = "error", str(error)
    except BaseException as error:  # whatever it is, it is reported
        ending, said = "exception", f"{type(error).__name__}: {error}"
    with contextlib.suppress(ValueError):
        sys.stderr.flush()
    report.write_text(json.dumps([ending, said[:500]]))
    os._exit(0)


def table(ended: list[Trial]) -> str:
    """Counts by kind and ending."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for trial in ended:
        counts[trial.seed][trial.ending] += 1
    counts["all"] = sum(counts.values(), Counter())
    columns = ("ok", "error", *FAULTS)
    lines = [f"{'':<28}" + "".join(f"{name:>10}" for name in columns)]
    lines += [f"{name:<28}" + "".join(f"{row[column]:>10}" for column in columns) for name, row in counts.items()]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    ended = list(trials(options.count, options.seed))
    faults = [trial for trial in ended if trial.ending in FAULTS]
    for trial in faults:
        print(f"{trial.seed}, number {trial.number}: {trial.ending}: {trial.said}")
    print(table(ended))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
