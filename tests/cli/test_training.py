"""Training from the command line: recipes below flags, a run folder, going on, the rate finder, the demo."""

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from mobilevit import digit_scenes
from mobilevit.cli import main
from mobilevit.cli.configuring import parse_run
from mobilevit.cli.demo import EXAMPLES
from mobilevit.cli.find_lr import FindLrOptions
from mobilevit.cli.train import TrainOptions
from mobilevit.loading.multiscale import AUTO_BATCH
from mobilevit.training.config import TrainConfig, with_recipe

Capture = pytest.CaptureFixture[str]
SMALL = [
    "--model",
    "mobilevit_xxs",
    "--weights",
    "none",
    "--num-workers",
    "0",
    "--sampler",
    "single",
    "--image-size",
    "32",
]


def test_no_flag_gives_the_configuration_of_the_python_call() -> None:
    assert parse_run(TrainOptions, "train", ["images"]).config == TrainConfig(data=Path("images"))


def test_flags_stand_above_the_recipe() -> None:
    config = parse_run(TrainOptions, "train", ["images", "--recipe", "paper", "--epochs", "5", "--no-flip"]).config
    paper = with_recipe(TrainConfig(data=Path("images")), "paper")
    assert config == dataclasses.replace(paper, epochs=5, augment=dataclasses.replace(paper.augment, flip=False))


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text("epochs = 7\n[optim]\nlr = 0.5\n")
    for arguments in (["--recipe", str(recipe)], [f"--recipe={recipe}"]):
        config = parse_run(TrainOptions, "train", ["images", *arguments]).config
        assert (config.epochs, config.optim.lr) == (7, 0.5)


def test_the_help_shows_the_defaults_of_the_recipe(capsys: Capture) -> None:
    assert main(["train", "--recipe", "paper", "--help"]) == 0
    assert "(default: 300)" in capsys.readouterr().out


def test_find_lr_takes_the_options_of_train() -> None:
    train = {field.name for field in dataclasses.fields(TrainOptions)} - {"dry_run", "resume"}
    assert train < {field.name for field in dataclasses.fields(FindLrOptions)}


def test_train_then_go_on(data: Path, tmp_path: Path, capsys: Capture) -> None:
    arguments = ["train", str(data), *SMALL, "--batch-size", "4", "--epochs", "2", "--output", str(tmp_path)]
    assert main([*arguments, "--name", "run"]) == 0
    shown = capsys.readouterr()
    run = tmp_path / "run"
    assert str(run / "report.html") in shown.out
    assert "train loss" in shown.err
    assert "[bold]cat (4)" in shown.err
    assert "\x1b" not in shown.out + shown.err
    assert "Configuration" in (run / "report.html").read_text(encoding="utf-8")
    assert main([*arguments, "--name", "run"]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["train", "--resume", str(run)]) == 0
    assert json.loads((run / "config.json").read_text())["epochs"] == 2


def test_a_dry_run_is_a_small_table_and_writes_nothing(data: Path, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "runs"
    arguments = ["train", str(data), *SMALL, "--batch-size", "4", "--output", str(output), "--dry-run"]
    assert main([*arguments, "--cache", "memory"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["sizes"] == "32 px x 4"
    assert rows["steps"] == "2 per epoch, 40 epochs"
    assert {"model", "images", "time", "memory", "cache"} <= set(rows)
    assert not output.exists()


@pytest.mark.parametrize("spelled", [["--batch-size", "auto"], ["--batch-size=auto"], ["--batch_size", "auto"]])
def test_the_largest_batch_can_be_asked_for(spelled: list[str], data: Path, tmp_path: Path, capsys: Capture) -> None:
    assert parse_run(TrainOptions, "train", ["images", *spelled]).config.scale.batch_size == AUTO_BATCH
    assert main(["train", str(data), *SMALL, *spelled, "--device", "cpu", "--output", str(tmp_path / "runs")]) == 2
    assert "--batch-size is auto" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_find_lr(data: Path, tmp_path: Path, capsys: Capture) -> None:
    plot = tmp_path / "rates.png"
    arguments = ["find-lr", str(data), *SMALL, "--batch-size", "4", "--steps", "12", "--output", str(plot)]
    assert main([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["suggestion"] is None  # images of noise
    assert len(said["lrs"]) == len(said["losses"]) >= 3
    assert Image.open(plot).format == "PNG"
    assert main(arguments) == 0
    assert "never falls clearly, so nothing is suggested" in capsys.readouterr().out


@pytest.mark.parametrize(
    "task",
    ["classification", *(pytest.param(task, marks=pytest.mark.system) for task in ("detection", "segmentation"))],
)
def test_demo(task: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn", reason='needs the extra "demo"')
    monkeypatch.setattr(digit_scenes, "IMAGES", {"train": 60, "val": 12})
    assert main(["demo", "--task", task, "--output", str(tmp_path / "runs"), "--epochs", "1"]) == 0
    shown = capsys.readouterr().out
    page = tmp_path / "runs" / EXAMPLES[task].run / "report.html"
    assert f"Look at {page}" in shown
    assert [line.split()[2] for line in shown.splitlines() if line.startswith("$ mobilevit")] == [
        "check",
        "train",
        "evaluate",
        "predict",
        "export",
    ]
    assert page.is_file()
    assert len(list((page.parent / "predictions").iterdir())) >= 5


def test_a_demo_of_a_task_that_is_not_there(capsys: Capture) -> None:
    assert main(["demo", "--task", "detecton"]) == 2
    assert "did you mean detection or segmentation?" in capsys.readouterr().err
