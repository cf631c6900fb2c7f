"""A run that was stopped and resumed is, bit for bit, the run that never stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mobilevit.errors import TrainingError
from mobilevit.training.config import TrainConfig, to_json
from mobilevit.training.run import RunResult, resume, train
from mobilevit.training.watching import Quiet, StepReport
from mobilevit.weights import model_file

TIMING = {"seconds", "pictures_per_second"}


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
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert_same_run(resume(killed.output / "killed").folder, uninterrupted.folder)


def test_two_sittings_of_accumulated_steps_from_memory(config: TrainConfig) -> None:
    accumulating = replace(config, cache="memory", optim=replace(config.optim, accumulate_steps=2))
    whole = train(accumulating)
    stopped = train(replace(accumulating, name="stopped"), StopsAt(0, 1, signal.SIGINT))
    assert_same_run(resume(stopped.folder).folder, whole.folder)


def test_a_finished_run_stays_as_it_is(uninterrupted: RunResult) -> None:
    before = rows(uninterrupted.folder)
    assert resume(uninterrupted.folder).finished
    assert rows(uninterrupted.folder) == before


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"config\.json"):
        resume(tmp_path)


def test_a_damaged_checkpoint_is_named(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted.folder, tmp_path / "run")
    checkpoint = run / "checkpoint" / "state.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="cannot be read"):
        resume(run)


def test_a_checkpoint_with_a_flipped_bit_is_named(uninterrupted: RunResult, tmp_path: Path) -> None:
    run = shutil.copytree(uninterrupted.folder, tmp_path / "run")
    checkpoint = run / "checkpoint" / "state.safetensors"
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    with pytest.raises(TrainingError, match="checksum"):
        resume(run)


def test_a_changed_data_set_is_noticed(config: TrainConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(config.data, tmp_path / "copy")
    run = train(replace(config, data=copy, epochs=1)).folder
    next((copy / "train" / "up").iterdir()).unlink()
    with pytest.raises(TrainingError, match="has changed"):
        resume(run)
