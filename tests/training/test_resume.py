"""A run that was stopped and resumed is, bit for bit, the run that never stopped."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mobilevit.errors import DataError, TrainingError, UsageError
from mobilevit.training.callbacks import Quiet, StepReport
from mobilevit.training.config import TrainConfig, from_json, to_json
from mobilevit.training.distributed import Group
from mobilevit.training.run import RunResult, prepare, resume, train
from mobilevit.weights import model_file

pytestmark = pytest.mark.usefixtures("no_figures")

TIMING = {"seconds", "images_per_second"}


class StopsAt(Quiet):
    """Sends a signal to this very process at one step."""

    def __init__(self, epoch: int, step: int, number: int) -> None:
        self.at, self.number = (epoch, step), number

    def step(self, report: StepReport) -> None:
        if (report.epoch, report.step) == self.at:
            signal.raise_signal(self.number)


def rows(run: Path) -> list[dict[str, str]]:
    header, *lines = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    return [{k: v for k, v in zip(header, line, strict=True) if k not in TIMING} for line in lines]


def assert_same_run(found: Path, expected: Path) -> None:
    assert rows(found) == rows(expected)
    for name in ("best.safetensors", "last.safetensors"):
        (a, _), (b, _) = model_file.load(found / name), model_file.load(expected / name)
        assert all(torch.equal(a[key], b[key]) for key in b)


@pytest.fixture(scope="module")
def uninterrupted(short: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """One for the whole file: leave it as it is."""
    return train(replace(short, output=tmp_path_factory.mktemp("uninterrupted")))


def test_stopped_inside_an_epoch(task_config: TrainConfig) -> None:
    uninterrupted = train(task_config)
    stopped = train(replace(task_config, name="stopped"), StopsAt(1, 1, signal.SIGTERM))
    assert not stopped.finished
    assert not (stopped.folder / "report.html").exists()
    resumed = resume(stopped.folder)
    assert resumed.finished
    assert (resumed.folder / "report.html").exists()
    assert_same_run(resumed.folder, uninterrupted.folder)


def test_an_image_that_breaks_before_the_validation_costs_nothing(
    config: TrainConfig, uninterrupted: RunResult, tmp_path: Path
) -> None:
    data = shutil.copytree(config.data, tmp_path / "data")
    image = next((data / "val" / "up").iterdir())
    content = image.read_bytes()
    run = config.output / "run"
    with pytest.raises(DataError, match=rf"{image.name} .*after step \d+: .*--resume {run}`.*`skip_broken`"):
        train(replace(config, data=data), AtTheEndOf(1, lambda: image.write_bytes(content[:-40])))
    image.write_bytes(content)
    heard = StepsHeard()
    assert_same_run(resume(run, heard).folder, uninterrupted.folder)
    assert {epoch for epoch, _ in heard.steps} == {2}, "no step of the first two epochs is taken again"


def test_stopped_after_the_last_step_of_an_epoch_and_the_data_moved(
    config: TrainConfig, uninterrupted: RunResult, tmp_path: Path
) -> None:
    """Every figure of the row comes from where the run stands, none from the process that stopped."""
    data = shutil.copytree(config.data, tmp_path / "data")
    stop = AtTheEndOf(1, lambda: signal.raise_signal(signal.SIGTERM))
    run = train(replace(config, data=data), stop).folder
    data = data.rename(tmp_path / "moved")
    with pytest.raises(TrainingError, match=r"dataset does not exist any more.*`data`"):
        resume(run)
    assert_same_run(resume(run, Quiet(), data=str(data)).folder, uninterrupted.folder)
    assert from_json((run / "config.json").read_text()).data == data


class AtTheEndOf(Quiet):
    """Does something when the last step of an epoch has been taken."""

    def __init__(self, epoch: int, act: Callable[[], object]) -> None:
        self.at, self.act = epoch, act

    def step(self, report: StepReport) -> None:
        if (report.epoch, report.step + 1) == (self.at, report.steps):
            self.act()


class StepsHeard(Quiet):
    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.notices: list[str] = []

    def step(self, report: StepReport) -> None:
        self.steps.append((report.epoch, report.step))

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.mark.system
def test_killed_without_warning(config: TrainConfig, uninterrupted: RunResult) -> None:
    """kill -9 at some moment after the first checkpoint: at most the steps since then are done again."""
    killed = replace(config, name="killed", checkpoint_minutes=0.0)
    script = "import sys; from mobilevit.training import config, run; run.train(config.from_json(sys.stdin.read()))"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(to_json(killed))
    process.stdin.close()
    checkpoint = killed.output / "killed" / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL, "it was still running when it was killed"
    assert_same_run(resume(killed.output / "killed").folder, uninterrupted.folder)


def test_two_attempts_of_accumulated_steps_from_memory(config: TrainConfig) -> None:
    accumulating = replace(config, cache="memory", optim=replace(config.optim, grad_accum_steps=2))
    whole = train(accumulating)
    stopped = train(replace(accumulating, name="stopped"), StopsAt(0, 1, signal.SIGINT))
    assert_same_run(resume(stopped.folder).folder, whole.folder)


def test_a_finished_run_stays_as_it_is_and_says_so(uninterrupted: RunResult) -> None:
    before, heard = rows(uninterrupted.folder), StepsHeard()
    assert resume(uninterrupted.folder, heard).finished
    assert rows(uninterrupted.folder) == before
    assert heard.steps == []
    assert any("finished: all 3 epochs are done" in notice for notice in heard.notices)


def test_more_epochs_follow_the_schedule_of_so_many(uninterrupted: RunResult, tmp_path: Path) -> None:
    run, heard = shutil.copytree(uninterrupted.folder, tmp_path / "run"), StepsHeard()
    with pytest.raises(UsageError, match="`epochs` is 2, but 3 epochs are done"):
        resume(run, epochs=2)
    assert resume(run, heard, epochs=4).finished
    assert {epoch for epoch, _ in heard.steps} == {3}
    assert any(notice.startswith("4 epochs in total instead of 3: the learning rate") for notice in heard.notices)
    assert rows(run)[:3] == rows(uninterrupted.folder)
    assert len(rows(run)) == 4
    config = from_json((run / "config.json").read_text())
    parts = prepare(config, Quiet(), Group())
    assert float(rows(run)[3]["lr"]) == parts.learning_rate.at(3, parts.sampler.schedule.steps(3) - 1)


def test_what_is_no_run_is_named(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = uninterrupted.folder
    for path, message in {
        tmp_path: "is not a run folder: it has no config.json",
        run / "best.safetensors": f"is part of a run: give the run folder, {run}$",
        run / "checkpoint" / "state.safetensors": f"give the run folder, {run}$",
        run.parent: f"contains runs: give one of {run}",
        run.parent / "rum": f"folder .*rum does not exist: did you mean {run}",
        Path(__file__): "is a file, not a run folder: .*`weights`",
    }.items():
        with pytest.raises(TrainingError, match=message):
            resume(path)


def test_a_damaged_checkpoint_is_named(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted.folder, tmp_path / "run")
    checkpoint = run / "checkpoint" / "state.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        resume(run)


def test_what_a_killed_run_left_is_taken_away(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted.folder, tmp_path / "run")
    left = [run / "checkpoint" / ".state.safetensors.k3x_9a2b.tmp", run / ".best.safetensors.0a1b2c3d.tmp"]
    for path in left:
        path.write_bytes(b"half of it")
    resume(run)
    assert not [path for path in left if path.exists()]


def test_a_checkpoint_with_a_flipped_bit_is_named(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted.folder, tmp_path / "run")
    checkpoint = run / "checkpoint" / "state.safetensors"
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(TrainingError, match="checksum"):
        resume(run)


def test_a_changed_dataset_is_noticed(config: TrainConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(config.data, tmp_path / "copy")
    run = train(replace(config, data=copy, epochs=1)).folder
    image = next((copy / "train" / "up").iterdir())
    image.rename(image.with_name("another.png"))
    with pytest.raises(TrainingError, match="has changed: its training images have different names"):
        resume(run)
    image.with_name("another.png").unlink()
    with pytest.raises(TrainingError, match="has changed: 23 training images now, 24"):
        resume(run)
