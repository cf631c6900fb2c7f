"""Evaluation: the class order is the model's, a difference is shown, and shares of processes make the whole."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from mobilevit import class_tables, tasks
from mobilevit.datasets.options import ReadOptions
from mobilevit.datasets.sample import Dataset
from mobilevit.errors import DataError, ImageError, OutOfMemoryError, OutputError, UsageError
from mobilevit.evaluation import evaluate, evaluate_runner, in_order_of
from mobilevit.formats.torch import TorchRunner
from mobilevit.inference import Predictor
from mobilevit.runners import runner_for
from mobilevit.spec import ClassLabel, labels
from mobilevit.weights.creating import create

TASK = tasks.get("classification")


def test_counts_what_the_predictor_gets_right(model: nn.Module, images_by_class: Path) -> None:
    evaluation = evaluate(model, images_by_class, device="cpu", num_workers=0)
    predictor = Predictor(model, device="cpu")
    results = predictor(images_by_class / "val")
    right = sum(result.best.class_name == Path(result.source).parent.name for result in results)
    assert evaluation.scores.scalars()["top1"] == pytest.approx(right / 6)
    assert (evaluation.images, evaluation.split, evaluation.classes_present) == (6, "val", 3)
    assert 0 < evaluation.model_seconds < evaluation.seconds
    assert "6 images of" in evaluation.summary
    assert "(val), all 3 classes" in evaluation.summary
    assert evaluation.images_per_second == pytest.approx(6 / evaluation.seconds)


def test_too_little_memory_is_said_in_a_line(
    model: nn.Module, images_by_class: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TorchRunner, "__call__", lambda *_: torch.empty(2**55))
    with pytest.raises(OutOfMemoryError, match=r"out of memory \(tried to allocate .*batch_size is 7"):
        evaluate(model, images_by_class, device="cpu", num_workers=0, batch_size=7)


@pytest.mark.parametrize("numbers", [{"batch_size": 0}, {"batch_size": -3}, {"num_workers": -1}])
def test_numbers_out_of_range(numbers: dict[str, int], model: nn.Module, images_by_class: Path) -> None:
    with pytest.raises(UsageError, match="take 1 or more images, 0 or more workers"):
        evaluate(model, images_by_class, device="cpu", **numbers)  # type: ignore[arg-type]


def test_the_class_order_is_the_models(images_by_class: Path) -> None:
    """Folders sort as cat, dog, owl; the model has another order and other ids."""
    classes = (ClassLabel("3", "Owl"), ClassLabel("1", "cat"), ClassLabel("2", "DOG"))

    class AlwaysOwl:
        spec = create("mobilevit_xxs", classes=classes).spec

        def __call__(self, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
            return {"probabilities": np.array([[0.8, 0.1, 0.1]] * len(images), np.float32)}

    scores = evaluate(AlwaysOwl(), images_by_class, num_workers=0).scores
    assert [row["recall"] for row in scores.to_dict()["classes"]] == [1.0, 0.0, 0.0]
    assert [row["class"] for row in scores.tables()["Classes"]] == ["Owl", "cat", "DOG"]


def test_a_part_of_the_models_classes_will_do(tmp_path: Path) -> None:
    for name in ("n01440764", "garbage_truck"):  # one by id, one by name: tench and class 569
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / "data" / name / f"{number}.png")
    model = create("mobilevit_xxs")
    evaluation = evaluate(model, tmp_path / "data", split="all", image_size=32, device="cpu", num_workers=0)
    assert (evaluation.images, evaluation.classes_present, len(evaluation.spec.classes)) == (4, 2, 1000)
    assert "2 of 1,000 classes" in evaluation.summary
    present = [row for row in evaluation.scores.to_dict()["classes"] if row["count"]]
    assert [(row["id"], row["count"]) for row in present] == [("n01440764", 2), ("n03417042", 2)]


def test_other_classes_are_an_error_that_shows_the_difference(model: nn.Module, images_by_class: Path) -> None:
    for split in ("train", "val"):
        (images_by_class / split / "owl").rename(images_by_class / split / "horse")
    with pytest.raises(DataError, match=r"1 class in the data alone: horse; 1 class in the model alone: owl"):
        evaluate(model, images_by_class, device="cpu", num_workers=0)


def test_two_folders_of_one_class_are_named() -> None:
    dataset = Dataset(Path("data"), "classification", labels(["n02123045", "tabby", "tench"]), {"train": (), "val": ()})
    with pytest.raises(DataError, match=r"several names: n02123045 and tabby \(tabby\)"):
        in_order_of(class_tables.imagenet1k(), dataset, TASK)


def test_a_split_that_is_not_there_names_those_that_are(model: nn.Module, images_by_class: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'test' .* read as val\): choose between train, val and all"):
        evaluate(model, images_by_class, split="test", device="cpu", num_workers=0)


def test_shares_of_two_processes_make_the_whole(model: nn.Module, images_by_class: Path) -> None:
    runner, dataset = runner_for(model, device="cpu"), TASK.read(images_by_class, ReadOptions())
    whole, first, second = (
        evaluate_runner(runner, TASK, dataset, "val", batch_size=2, num_workers=0, rank=rank, world_size=size).metric
        for rank, size in ((0, 1), (0, 2), (1, 2))
    )
    first.merge(second)
    assert first.compute().files() == whole.compute().files()
    assert first.compute().scalars() == pytest.approx(whole.compute().scalars(), abs=1e-6)


def test_progress_counts_images(model: nn.Module, images_by_class: Path) -> None:
    seen: list[tuple[int, int]] = []
    evaluate(
        model, images_by_class, device="cpu", num_workers=0, batch_size=4, progress=lambda *done: seen.append(done)
    )
    assert seen == [(4, 6), (6, 6)]


def test_another_size(model: nn.Module, images_by_class: Path) -> None:
    assert evaluate(model, images_by_class, device="cpu", num_workers=0, image_size=96).to_dict()["image_size"] == 96


def test_saves_figures_and_tables_for_people_and_machines(
    model: nn.Module, images_by_class: Path, tmp_path: Path
) -> None:
    evaluation = evaluate(model, images_by_class, device="cpu", num_workers=0)
    paths = evaluation.save(str(tmp_path / "out"))
    assert sorted(path.name for path in paths) == sorted(path.name for path in (tmp_path / "out").iterdir())
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert stored["scores"]["top1"] == evaluation.scores.primary[1]
    assert stored["images"] == 6
    rows = list(csv.reader((tmp_path / "out" / "confusion.csv").open()))
    assert [row[0] for row in rows[1:]] == rows[0][1:] == ["cat", "dog", "owl"]
    assert sum(int(count) for row in rows[1:] for count in row[1:]) == 6
    for name in ("confusion.png", "reliability.png", "recall.png"):
        assert Image.open(tmp_path / "out" / name).width > 300


def test_a_folder_that_cannot_be_written(model: nn.Module, images_by_class: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError):
        evaluate(model, images_by_class, device="cpu", num_workers=0).save(tmp_path / "taken")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_broken_image_is_named(model: nn.Module, images_by_class: Path, num_workers: int) -> None:
    (images_by_class / "val" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"val/cat/0\.png"):
        evaluate(model, images_by_class, device="cpu", num_workers=num_workers)


def test_a_missing_or_empty_dataset(model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        evaluate(model, tmp_path / "nowhere", device="cpu")
    with pytest.raises(DataError, match="empty"):
        evaluate(model, tmp_path, device="cpu")


IMAGENETTE = Path(__file__).parents[2].parent / "shared" / "data" / "imagenette"


@pytest.mark.skipif(not IMAGENETTE.is_dir(), reason=f"Imagenette is not at {IMAGENETTE}")
def test_the_folders_of_imagenette_find_their_classes_among_a_thousand() -> None:
    dataset = in_order_of(class_tables.imagenet1k(), TASK.read(IMAGENETTE, ReadOptions()), TASK)
    targets = {sample.path.parent.name: sample.target for sample in dataset.splits["val"]}
    assert sorted(targets.values()) == [0, 217, 482, 491, 497, 566, 569, 571, 574, 701]
