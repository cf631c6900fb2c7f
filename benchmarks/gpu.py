"""Does everything work on a GPU, how fast is it, and what does it learn? Ten minutes, one command.

    python benchmarks/gpu.py --minutes 8 --data build/imagenette.zip --output build/gpu

On a machine without a GPU the same script rehearses on small sizes:

    python benchmarks/gpu.py --device cpu --minutes 3 --output build/gpu

Four parts, each in a process of its own and in its own time: `preflight` (imports, data, one step; where it fails the
script ends at once), `correct` (CUDA against the CPU), `fast` (what a step, the loader and inference take; compiling
comes last), `learns` (a whole training run in the time that is left). A failure in one does not stop the next. This
file needs the standard library alone; benchmarks/gpu.md says what the parts need, and how the data is packed.

Into the output folder: results.json (after every check), results.md (after every part), log.txt, run.tar.gz.
"""

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import record
from gpu_parts.results import FAILED, NOT_RUN, PASSED, Results, markdown

ROOT = Path(__file__).resolve().parents[1]
# It takes 20 s, but the first import from a cold disk may take longer than all the rest; a CPU may be a loaded one.
PREFLIGHT_S = {"cuda": 60.0, "cpu": 300.0}
SHARES = {"correct": 90 / 480, "fast": 120 / 480}  # of the time on a GPU; `learns` has what is left
CPU_SHARES = {"correct": 0.4, "fast": 0.25}
TRIES = 6  # processes that one part may use up
TIME_IS_UP = "the time of its part was up"
BROKE_OFF = "its process broke off, or it took too long: see log.txt"
PARTS = ("preflight", *SHARES, "learns")


@dataclass(frozen=True)
class Run:
    """One run of the script."""

    options: argparse.Namespace
    work: Path  # for what need not stay
    log: IO[str]
    started_s: float  # of time.time()
    package: str = "gpu_parts"  # where the parts are

    @property
    def results(self) -> Results:
        return Results(self.options.output / "results.json")


def main(arguments: list[str]) -> int:
    """Run all parts; the number of checks that failed."""
    options = _options(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gpu-") as work, (options.output / "log.txt").open("w") as log:
        run = Run(options, Path(work), log, time.time())
        run.results.path.unlink(missing_ok=True)
        run.results.add_facts(
            {"command": shlex.join(["python", *sys.argv]), "date": time.strftime("%Y-%m-%d %H:%M"), "ended": "no"}
        )
        _run_parts(run)
        run.results.add_facts({"ended": f"after {time.time() - run.started_s:.0f} s"})
        _write_table(run)
        print((options.output / "results.md").read_text(), flush=True)
        if options.results:
            _record(run.results)
        statuses = [str(entry["status"]) for entry in run.results.read()["checks"]]
        return min(statuses.count(FAILED), 100)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="all parts together (8)")
    parser.add_argument("--data", type=Path, help="a dataset of class folders, or a zip file of one; else one is made")
    parser.add_argument("--output", type=Path, default=Path("build/gpu"), help="folder of the results (build/gpu)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="where to run (cuda)")
    parser.add_argument("--sizes", choices=("full", "small", "least"), help="full on cuda, small on cpu")
    parser.add_argument("--epochs", type=int, default=200, help="most epochs of the last part (200)")
    parser.add_argument("--results", action="store_true", help="write benchmarks/results/gpu.json too")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="beside preflight (all)")
    options = parser.parse_args(arguments)
    options.sizes = options.sizes or ("full" if options.device == "cuda" else "small")
    if options.minutes < 2:
        parser.error(f"--minutes is {options.minutes:g}: give at least 2")
    if options.results and options.device != "cuda":
        parser.error("--results is for the documents, which show no rehearsal: leave it out, or run on --device cuda")
    if options.data and not options.data.exists():
        parser.error(f"--data is {options.data}: there is no such file or folder")
    return options


def _run_parts(run: Run) -> None:
    """Each part in its time; the last one has at least what the shares of the others leave."""
    total_s, shares = 60 * run.options.minutes, SHARES if run.options.device == "cuda" else CPU_SHARES
    for part in PARTS:
        if part not in ("preflight", *run.options.parts):
            continue
        left_s = run.started_s + total_s - time.time()
        box_s = shares[part] * total_s if part in shares else left_s
        box_s = PREFLIGHT_S[run.options.device] if part == "preflight" else box_s
        status = _run_part(run, part, box_s)
        _write_table(run)
        if part == "preflight" and not _all_passed(run, part):
            _say(run, f"ends here: {part} {status}\n")
            return
    _archive(run)


def _run_part(run: Run, part: str, box_s: float) -> str:
    """Start the part, again behind each check that ended its process, until its time is up; how it ended."""
    started_s = time.time()
    ends_at_s, status = started_s + box_s, "out of time"
    for _ in range(TRIES):
        settled, code = run.results.settled(part), _process(run, part, ends_at_s)
        run.results.close_running(part, *((NOT_RUN, TIME_IS_UP) if code is None else (FAILED, BROKE_OFF)))
        if code == 0:
            status = "done"
            break
        if code is None or ends_at_s - time.time() < 2:
            break
        if run.results.settled(part) == settled:  # it cannot even begin
            status = f"ended with code {code}: see log.txt"
            break
    with run.results.changed() as content:
        content["parts"][part] = {"seconds": round(time.time() - started_s, 1), "box_seconds": box_s, "status": status}
    return status


def _process(run: Run, part: str, ends_at_s: float) -> int | None:
    """Run a process of the part; its exit code, None where its time was up."""
    settings = run.work / f"{part}.json"
    settings.write_text(json.dumps(_settings(run, ends_at_s)))
    paths = [str(ROOT / "src"), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "gpu_parts", f"{run.package}.{part}", str(settings)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=run.log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that its own processes end with it
    )
    try:
        return process.wait(max(1.0, ends_at_s - time.time()))
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(process)


def _settings(run: Run, ends_at_s: float) -> dict[str, str | float]:
    """What a part is told."""
    options = run.options
    return {
        "device": options.device,
        "sizes": options.sizes,
        "data": str(options.data or ""),
        "output": str(options.output),
        "work": str(run.work),
        "epochs": options.epochs,
        "ends_at_s": ends_at_s,
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _all_passed(run: Run, part: str) -> bool:
    statuses = [entry["status"] for entry in run.results.read()["checks"] if entry["part"] == part]
    return bool(statuses) and set(statuses) == {PASSED}


def _archive(run: Run) -> None:
    """The run folder of the last part as one file, without what only resuming needs."""
    folder = run.work / "runs" / "learns"
    if not folder.exists():
        return
    with tarfile.open(run.options.output / "run.tar.gz", "w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.is_file() and inside.parts[0] not in ("checkpoint", ".lock"):
                archive.add(path, Path("run") / inside)


def _record(results: Results) -> None:
    """What the documents show of a run on a GPU: the figures of each check."""
    content = results.read()
    rows = [
        {"part": entry["part"], "check": entry["name"], "result": entry["status"], **entry["figures"]}
        for entry in content["checks"]
    ]
    record.write("gpu", {"facts": [content["facts"]], "checks": rows}, goal=GOAL)


GOAL = (
    "a training step at least 1.4 times as fast as timm's; the GPU waits for data less than 10 % of the time; 90 % "
    "top-1 on Imagenette at 128 px"
)


def _write_table(run: Run) -> None:
    (run.options.output / "results.md").write_text(markdown(run.results.read()), encoding="utf-8")


def _say(run: Run, text: str) -> None:
    run.log.write(text)
    print(text, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
