"""From a dataset to masks on disk, through the commands."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilevit.cli import main
from mobilevit.evaluation import evaluate
from mobilevit.inference import Predictor
from mobilevit.spec import labels
from mobilevit.tasks.checking import check
from mobilevit.weights import model_file
from mobilevit.weights.creating import create, spec_of

Squares = Callable[[Mapping[str, int]], Path]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    model = create("deeplabv3_mobilevit_xxs", classes=labels(["background", "square"]))
    path = tmp_path / "squares.safetensors"
    model_file.save(path, model.state_dict(), spec_of(model))
    return path


def test_predict(model: Path, squares: Squares, capsys: pytest.CaptureFixture[str]) -> None:
    images, out = squares({"train": 3}) / "train/images", model.parent / "masks"
    options = ["--image-size", "64", "--output", str(out), "--format", "image,mask", "--json"]
    assert main(["predict", str(model), str(images), *options]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [entry["width"] for entry in said] == [48] * 3
    assert sorted(path.name for path in out.iterdir()) == [
        f"{n:03}.{kind}" for n in range(3) for kind in ("jpg", "png")
    ]
    for entry, path in zip(said, sorted(out.glob("*.png")), strict=True):
        with Image.open(path) as mask:
            assert (mask.mode, mask.size) == ("P", (48, 36))
            counts = np.bincount(np.asarray(mask).ravel(), minlength=2)
        assert {area["value"]: area["pixels"] for area in entry["areas"]} == {
            value: count for value, count in enumerate(counts.tolist()) if count
        }
    options = ["--image-size", "64", "--output", str(out), "--format", "mask", "--csv"]
    assert main(["predict", str(model), str(images), *options]) == 0
    assert (out / "000-2.png").exists()


def test_masks_are_for_segmentation(tmp_path: Path, squares: Squares, capsys: pytest.CaptureFixture[str]) -> None:
    model = create("mobilevit_xxs", classes=labels(["cat", "dog"]))
    path = tmp_path / "pets.safetensors"
    model_file.save(path, model.state_dict(), spec_of(model))
    images = squares({"train": 1}) / "train/images"
    assert main(["predict", str(path), str(images), "--output", str(tmp_path / "masks"), "--format", "mask"]) == 2
    assert "--format mask is for segmentation" in capsys.readouterr().err
    assert not (tmp_path / "masks").exists()


def test_evaluate(model: Path, squares: Squares) -> None:
    """The scores are those of the masks that prediction gives, under the names that the check has."""
    root = squares({"train": 1, "val": 3})
    evaluation = evaluate(model, root, image_size=64, num_workers=0)
    confusion = np.zeros((2, 2), int)
    for name in ("000", "001", "002"):
        result = Predictor(model, image_size=64)(root / f"val/images/{name}.jpg")[0]
        truth = np.asarray(Image.open(root / f"val/masks/{name}.png"))
        np.add.at(confusion, (truth[truth != 255], result.classes[truth != 255]), 1)
    np.testing.assert_array_equal(evaluation.scores.confusion, confusion)  # type: ignore[attr-defined]
    names = [row["class"] for row in check(root).rows()]
    assert names == [row.name for row in evaluation.scores.per_class]  # type: ignore[attr-defined]
    assert {area.class_name for area in result.areas} <= set(names)
    files = {path.name for path in evaluation.save(model.parent / "evaluation")}
    assert files == {"evaluation.json", "confusion.csv", "iou.png", "confusion.png"}
