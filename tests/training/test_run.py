"""A run from its configuration to its folder."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mobilevit.datasets.box_target import Boxes
from mobilevit.errors import DataError, MobileViTError, OutOfMemoryError, TrainingError, UsageError
from mobilevit.training import run
from mobilevit.training.callbacks import Quiet
from mobilevit.training.config import TrainConfig
from mobilevit.training.distributed import Group
from mobilevit.training.ema import Ema
from mobilevit.training.lines import ProgressLines
from mobilevit.training.model_setup import freeze, training_mode
from mobilevit.training.resuming import started
from mobilevit.training.run import prepare, resume, train
from mobilevit.training.runfolder import RunFolder, new_run
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, load


def test_learns_writes_its_folder_and_says_so(config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(replace(config, epochs=16, optim=replace(config.optim, lr=3e-3, ema_decay=0.0)))
    assert result.finished
    assert result.best_score is not None and result.best_score > 0.7
    assert len([line for line in capsys.readouterr().out.splitlines() if line.split()[0].isdigit()]) == 16
    names = {path.name for path in result.folder.iterdir()}
    assert {"config.json", "metrics.csv", "best.safetensors", "last.safetensors", "checkpoint", "report.html"} <= names
    model = load(result.folder / "best.safetensors")
    assert [label.id for label in model.spec.classes] == ["across", "up"]
    assert (model.spec.preprocessing.image_size, model.spec.preprocessing.resize_px) == (32, 36)


def test_every_task_has_its_run_and_its_scores(task_config: TrainConfig) -> None:
    augment = replace(task_config.augment, photometric=True)
    result = train(replace(task_config, epochs=1, augment=augment, cache="memory"))
    evaluation = json.loads((result.folder / "evaluation.json").read_text())
    page = (result.folder / "report.html").read_text()
    assert evaluation["images"] >= 4
    assert page.count("data:image") >= 4
    assert load(result.folder / "best.safetensors").spec.task == evaluation["task"]


def test_a_detector_or_segmenter_asks_for_its_task(config: TrainConfig) -> None:
    """And is never replaced by a model of another task; a classifier stands for the model of its size."""
    for model in ("ssdlite_mobilevit_xxs", "deeplabv3_mobilevit_xxs"):
        with pytest.raises(DataError, match=r"has no boxes|has no folders of images and masks"):
            prepare(replace(config, model=model), Quiet(), Group())
        with pytest.raises(UsageError, match=r"is for \w+, but the task is classification"):
            prepare(replace(config, model=model, task="classification"), Quiet(), Group())


@pytest.fixture
def centered(config: TrainConfig, boxed_squares: Path, tmp_path: Path) -> TrainConfig:
    """Of images whose object is always where an anchor is: some box is right, however little was learned."""
    root = Path(shutil.copytree(boxed_squares, tmp_path / "centered"))
    for path in root.glob("*/_annotations.coco.json"):
        known = json.loads(path.read_text())
        boxes = [box | {"bbox": [13, 13, 38, 38]} for box in known["annotations"]]
        path.write_text(json.dumps(known | {"annotations": boxes}))
    return replace(config, data=root, epochs=1, augment=replace(config.augment, crop_area_min=1.0))


def test_every_model_of_a_detector_has_its_score_threshold(centered: TrainConfig) -> None:
    result = train(replace(centered, epochs=2))
    best, last = (
        model_file.load(result.folder / f"{name}.safetensors")[1].score_threshold for name in ("best", "last")
    )
    for stored in (best, last):
        assert stored is not None
        assert (stored.criterion, stored.dataset, stored.split) == ("f1", "centered", "val")
        assert (stored.images, stored.note) == (4, "")
        assert 0 < stored.f1 <= 1
    evaluation = json.loads((result.folder / "evaluation.json").read_text())
    assert best is not None and evaluation["scores"]["mistakes"]["score_threshold"] == best.value
    page = (result.folder / "report.html").read_text()
    assert f"Objects above a score of {best.value:g}: the best F1 on val of centered, 4 images" in page


@pytest.mark.usefixtures("no_figures")
def test_a_threshold_of_images_that_were_learnt_says_so(centered: TrainConfig) -> None:
    folder = train(replace(centered, train_on=("train", "val"))).folder
    stored = model_file.load(folder / "last.safetensors")[1].score_threshold
    assert stored is not None and "has learned from these images" in stored.reason
    again = replace(centered, weights=str(folder / "last.safetensors"), name="again")
    assert prepare(again, Quiet(), Group()).spec.score_threshold is None, "the next training begins without"


@pytest.mark.parametrize(("given", "expected"), [(None, [0.1, 0.0, 0.0]), (0.2, [0.2, 0.2, 0.2])])
def test_labels_are_smoothed_as_in_the_paper_unless_told_otherwise(
    given: float | None, expected: list[float], task_config: TrainConfig
) -> None:
    parts = prepare(replace(task_config, optim=replace(task_config.optim, label_smoothing=given)), Quiet(), Group())
    place = ["classification", "detection", "segmentation"].index(parts.task.name)
    assert parts.step.loss_options.label_smoothing == expected[place]


def test_a_score_that_cannot_be_measured_is_no_best_and_stops_nothing(
    config: TrainConfig, boxed_squares: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = prepare(replace(config, data=boxed_squares, epochs=2, patience=1), Quiet(), Group())
    val = tuple(replace(sample, target=Boxes.of([], [], (64, 64))) for sample in parts.dataset.splits["val"])
    dataset = replace(parts.dataset, splits={**parts.dataset.splits, "val": val})
    with new_run(parts.config) as folder:
        result = run._attempt(replace(parts, dataset=dataset), folder, started(dataset), ProgressLines())
    assert result.finished and result.best_score is None
    rows = list(csv.DictReader(folder.metrics.open(encoding="utf-8")))
    assert [(row["epoch"], row["val_map"]) for row in rows] == [("1", ""), ("2", "")]
    assert folder.last.is_file() and not folder.best.exists()
    assert json.loads((folder.path / "evaluation.json").read_text())["scores"]["map"] is None
    assert "not measured" in folder.report.read_text(encoding="utf-8")
    assert "no epoch has a score" in capsys.readouterr().out


def broken_copy(data: Path, target: Path, split: str) -> Path:
    """With an image that is cut short behind its header."""
    copy = shutil.copytree(data, target)
    image = next((copy / split).rglob("*.png"))
    image.write_bytes(image.read_bytes()[:-40])
    return copy


@pytest.mark.parametrize(("split", "epochs", "cache"), [("train", 3, "none"), ("val", 3, "none"), ("val", 1, "memory")])
def test_every_image_is_decoded_before_a_run_of_several_epochs_or_from_memory(
    split: str, epochs: int, cache: str, config: TrainConfig, tmp_path: Path
) -> None:
    heard = Notices()
    data = broken_copy(config.data, tmp_path / "broken", split)
    broken = replace(config, data=data, epochs=epochs, cache=cache)
    with pytest.raises(DataError, match=r"1 image cannot be read; .*`skip_broken`"):
        train(broken, heard)
    assert not config.output.exists()
    assert heard.ended == 1


def test_training_on_val_too_takes_its_images_and_says_so(config: TrainConfig) -> None:
    heard = Notices()
    parts = prepare(replace(config, train_on=("train", "val")), heard, Group())
    assert len(parts.dataset.splits["train"]) == 32
    assert len(parts.dataset.splits["val"]) == 8
    assert any("training includes val" in notice for notice in heard.notices)
    with pytest.raises(DataError, match="no split 'exam'"):
        prepare(replace(config, train_on=("exam",)), Quiet(), Group())


class Notices(Quiet):
    def __init__(self) -> None:
        self.notices: list[str] = []
        self.ended = 0

    def end(self) -> None:
        self.ended += 1

    def notice(self, message: str) -> None:
        self.notices.append(message)


@pytest.mark.usefixtures("no_figures")
def test_early_stopping_ends_a_run_that_gets_no_better(config: TrainConfig) -> None:
    frozen = replace(config, epochs=9, patience=2, optim=replace(config.optim, lr=1e-12, lr_start=0.0, lr_end=0.0))
    result = train(frozen)
    assert result.finished
    rows = (result.folder / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + 3
    again = resume(result.folder, epochs=9)  # who asks for epochs wants them, be their number what it was
    assert (result.folder / "metrics.csv").read_text().splitlines()[: 1 + 3] == rows
    assert len((again.folder / "metrics.csv").read_text().splitlines()) == 1 + 3 + 2


def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_last_good_model(config: TrainConfig) -> None:
    torrent = replace(
        config,
        optim=replace(config.optim, lr=1e3, weight_decay=10.0, warmup_steps=1, grad_clip_norm=0.0, ema_decay=0.0),
    )
    with pytest.raises(TrainingError, match=r"not finite.* epoch \d, step \d.*`lr`"):
        train(torrent)


@pytest.mark.usefixtures("no_figures")
def test_a_name_that_is_taken_is_refused(config: TrainConfig) -> None:
    short = replace(config, epochs=1)
    train(short)
    with pytest.raises(TrainingError, match="--resume"):
        train(short)
    assert train(replace(short, overwrite=True)).finished


def test_a_folder_that_is_no_run_is_left_alone(config: TrainConfig) -> None:
    kept = config.output / "run" / "thesis.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(TrainingError, match="is not a run folder and not empty"):
            train(replace(config, overwrite=overwrite), Quiet())
    assert [path.name for path in kept.parent.iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("no_figures")
def test_two_processes_do_not_train_in_one_folder(config: TrainConfig) -> None:
    folder = train(replace(config, epochs=1)).folder
    with RunFolder(folder).held():
        for again in (lambda: resume(folder), lambda: train(replace(config, name=folder.name, overwrite=True))):
            with pytest.raises(TrainingError, match="another process is training in"):
                again()
    assert (folder / "best.safetensors").is_file()
    assert resume(str(folder)).finished


@pytest.mark.usefixtures("no_figures")
def test_too_little_memory_is_said_in_a_line_and_leaves_what_was_saved(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second epoch, by an allocation that no machine can make."""
    run = config.output / "run"
    monkeypatch.setattr(Ema, "update", lambda *_: torch.empty(2**55) if (run / "metrics.csv").is_file() else None)
    with pytest.raises(OutOfMemoryError, match=r"out of memory.* in epoch 2, step \d.*`batch_size` below 6") as caught:
        train(replace(config, epochs=2))
    assert "\n" not in str(caught.value)
    before = {path: path.read_bytes() for path in run.rglob("*.safetensors")}
    assert {path.name for path in before} == {"best.safetensors", "last.safetensors", "state.safetensors"}
    monkeypatch.undo()
    assert load(run / "best.safetensors").spec.task == "classification"
    assert resume(run).finished


@pytest.mark.system
def test_two_processes_make_one_run(config: TrainConfig) -> None:
    """By gloo, each with its own cache; one of them writes."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "mobilevit",
    ]
    options = ["--model", "mobilevit_xxs", "--weights", "none", "--image-size", "32", "--sampler", "single"]
    options += ["--batch-size", "6", "--epochs", "1", "--num-workers", "0", "--cache", "memory", "--device", "cpu"]
    options += ["--output", str(config.output), "--name", "run"]
    train_once = [*command, "train", str(config.data), *options]
    told = subprocess.run(train_once, check=True, timeout=300, capture_output=True, text=True).stderr
    assert "Warning" not in told
    again = subprocess.run(train_once, timeout=300, capture_output=True, text=True)
    assert again.returncode == 1
    assert "already contains a run" in again.stderr
    assert "RuntimeError" not in again.stderr, "no process fails by the end of another"
    assert [path.name for path in config.output.iterdir()] == ["run"]
    header, row = (line.split(",") for line in (config.output / "run" / "metrics.csv").read_text().splitlines())
    assert float(dict(zip(header, row, strict=True))["images"]) == 24
    assert (config.output / "run" / "report.html").is_file()


def test_weights_that_are_not_there_write_nothing(config: TrainConfig) -> None:
    with pytest.raises(MobileViTError):
        train(replace(config, weights="no-such-weights"))
    assert not config.output.exists()


def test_an_empty_folder_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        train(replace(config, data=tmp_path / "empty"))


@pytest.mark.usefixtures("no_figures")
def test_class_weights_stronger_augmentation_and_bf16_run(config: TrainConfig) -> None:
    pytest.importorskip("kornia")
    strong = replace(
        config,
        epochs=1,
        precision="bf16",
        optim=replace(config.optim, class_weights=True),
        augment=replace(config.augment, randaugment=True, mixup=0.2, cutmix=1.0, erasing=0.25),
    )
    assert train(strong).finished


def test_frozen_parts_stay_as_they_are(config: TrainConfig) -> None:
    model = create("mobilevit_xxs", num_classes=2)
    freezing = replace(config, freeze_stages=2, freeze_norm=True)
    freeze(model, freezing)
    training_mode(model, freezing)
    assert not any(p.requires_grad for p in [*model.backbone.stem.parameters(), *model.backbone.stages[1].parameters()])
    assert all(p.requires_grad for p in model.backbone.stages[2].parameters())
    before = model.final.norm.running_mean.clone()
    model(torch.rand(2, 3, 64, 64))
    assert torch.equal(model.final.norm.running_mean, before)
