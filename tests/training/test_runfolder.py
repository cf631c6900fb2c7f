"""Who gets a run folder when several ask in the same instant: real processes, started together."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

PROCESSES = 3

CLAIM = """
import sys
from pathlib import Path
from mobilevit.errors import TrainingError
from mobilevit.training.config import TrainConfig
from mobilevit.training.runfolder import new_run

config = TrainConfig(Path("data"), output=Path(sys.argv[1]), name=sys.argv[2] or None, overwrite=sys.argv[3] == "yes")
print("ready", flush=True)
sys.stdin.readline()
try:
    with new_run(config) as folder:
        print(folder.path.name, flush=True)
        sys.stdin.readline()
except TrainingError as error:
    print("error", error, flush=True)
"""


def claimed_together(output: Path, *, name: str = "", overwrite: bool = False) -> list[str]:
    """What each of the processes got, all of them holding it until the last has an answer."""
    arguments = [sys.executable, "-c", CLAIM, str(output), name, "yes" if overwrite else "no"]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            )
            for _ in range(PROCESSES)
        ]
        assert lines_of(processes) == ["ready"] * PROCESSES
        tell(processes)
        answers = lines_of(processes)
        tell(processes)
    return answers


def lines_of(processes: Sequence["subprocess.Popen[str]"]) -> list[str]:
    return [process.stdout.readline().strip() for process in processes if process.stdout is not None]


def tell(processes: Sequence["subprocess.Popen[str]"]) -> None:
    for process in processes:
        assert process.stdin is not None
        try:
            process.stdin.write("go\n")
            process.stdin.flush()
        except BrokenPipeError:  # it had its error, and has ended
            continue


def test_each_gets_a_number_of_its_own(tmp_path: Path) -> None:
    assert sorted(claimed_together(tmp_path)) == [f"mobilevit_xs-{number}" for number in (1, 2, 3)]


def test_one_gets_the_name_also_where_it_replaces_a_run(tmp_path: Path) -> None:
    for overwrite in (False, True):
        answers = sorted(claimed_together(tmp_path, name="mine", overwrite=overwrite))
        assert [answer.split()[0] for answer in answers] == ["error", "error", "mine"]
        assert "another process is training in" in answers[0] or "holds a run already" in answers[0]
        assert (tmp_path / "mine" / "config.json").is_file()
