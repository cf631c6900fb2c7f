"""Who gets a run folder when several ask in the same instant: real processes, started together."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

Process = subprocess.Popen[str]

CLAIM = """
import sys
from pathlib import Path
from mobilevit.errors import TrainingError
from mobilevit.training.config import TrainConfig
from mobilevit.training.runfolder import new_run

print("ready", flush=True)
for line in sys.stdin:
    name, overwrite = line.split()
    config = TrainConfig(
        Path("data"), output=Path(sys.argv[1]), name=name.strip("-") or None, overwrite=overwrite == "yes"
    )
    try:
        with new_run(config) as folder:
            print(folder.path.name, flush=True)
            sys.stdin.readline()
    except TrainingError as error:
        print("error", error, flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[list[Process]]:
    command = [sys.executable, "-c", CLAIM, str(tmp_path)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        assert answers(started) == ["ready"] * 3
        yield started
        for process in started:
            assert process.stdin is not None
            process.stdin.close()


def answers(processes: Sequence[Process]) -> list[str]:
    return [process.stdout.readline().strip() for process in processes if process.stdout is not None]


def claimed_together(processes: Sequence[Process], wish: str) -> list[str]:
    """What each got, all of them holding it until the last has an answer."""
    tell(processes, wish)
    given = answers(processes)
    tell(processes, "let go")
    return sorted(given)


def tell(processes: Sequence[Process], line: str) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def test_of_several_each_gets_a_number_and_one_gets_the_name(processes: list[Process], tmp_path: Path) -> None:
    assert claimed_together(processes, "- no") == [f"mobilevit_xs-{number}" for number in (1, 2, 3)]
    for overwrite in ("no", "yes"):
        first, second, third = claimed_together(processes, f"mine {overwrite}")
        assert third == "mine"
        for refused in (first, second):
            assert refused.startswith("error") and "another process is training in" in refused
        assert (tmp_path / "mine" / "config.json").is_file()
